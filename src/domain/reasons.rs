//! The closed vocabularies: each enum serves the metric label, the log field, the header and the stored record alike.

macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident => $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant,)+ }

        impl $name {
            /// Every word, in the order of the design.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word as it stands in labels, logs, headers and the journal.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What the word means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($vdoc),+).trim_start(),)+ }
            }

            /// The enum value of a word read back from disk or the command line.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::error::Error for $name {}

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is none of its words")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }
    };
}

pub(crate) use vocabulary;

vocabulary! {
    /// Why a delivery was turned away at the door: it is unproven.
    Rejection {
        /// No signature header, or an empty one.
        SignatureMissing => "signature_missing",
        /// Not 64 hex digits with or without `sha256=`, or more than one header.
        SignatureMalformed => "signature_malformed",
        /// Well formed, and matches under no secret in force.
        SignatureWrong => "signature_wrong",
        /// The body has no `signedData`.
        SignedDataMissing => "signed_data_missing",
        /// `signedData` is not a string.
        SignedDataNotString => "signed_data_not_string",
        /// The body is not one JSON text in UTF-8, or does not inflate.
        BodyNotJson => "body_not_json",
        /// The body is JSON, but no object.
        BodyNotObject => "body_not_object",
        /// `signedData` occurs twice.
        DuplicateKey => "duplicate_key",
        /// The body, or what it inflates to, is over the limit.
        BodyTooLarge => "body_too_large",
        /// A content encoding other than gzip, deflate and identity.
        EncodingUnsupported => "encoding_unsupported",
        /// A path that names an app without secrets.
        UnknownApp => "unknown_app",
    }
}

vocabulary! {
    /// Why a proven delivery could not be understood, or its record not be published to the main topic.
    QuarantineReason {
        /// `signedData` is not base64 in either alphabet.
        SignedDataUndecodable => "signed_data_undecodable",
        /// The payload is not one JSON text in UTF-8.
        PayloadNotJson => "payload_not_json",
        /// The payload is JSON, but no object.
        PayloadNotObject => "payload_not_object",
        /// A key stands twice in one object, at any level of the payload.
        DuplicateKey => "duplicate_key",
        /// The payload is nested deeper than 64 levels.
        TooDeep => "too_deep",
        /// `event` is absent or not a string.
        EventMissing => "event_missing",
        /// `event` is not `[A-Za-z0-9_.-]{1,100}`.
        EventMalformed => "event_malformed",
        /// A known event without its installation or the installation's id.
        InstallationMissing => "installation_missing",
        /// A known event without its organization or the organization's id.
        OrganizationMissing => "organization_missing",
        /// A transaction event whose `transaction` is absent or null.
        TransactionMissing => "transaction_missing",
        /// A `transaction` that is no object, has no id, or whose amount is neither number, numeric string nor null.
        TransactionInvalid => "transaction_invalid",
        /// An amount of more than 100 characters in plain notation.
        AmountOutOfRange => "amount_out_of_range",
        /// The broker, or the client's own limit, refused the record for its size, alone in its batch.
        RecordTooLarge => "record_too_large",
        /// The broker refused the record, alone in its batch, for another reason that lies in the record itself.
        RecordInvalid => "record_invalid",
    }
}

vocabulary! {
    /// Why a proven delivery could not be stored.
    Refusal {
        /// Writing or syncing failed, on the segment and on its successor.
        StorageError => "storage_error",
        /// No space for the delivery, and no spare segment left.
        DiskFull => "disk_full",
        /// More deliveries wait for the disk than the journal's queue holds.
        QueueFull => "queue_full",
        /// The bridge is on its way out.
        ShuttingDown => "shutting_down",
    }
}
