//! The events of ICR (its documentation lists these seven, and says that more will come).
//!
//! A kind is what labels, topics and tags may hold: a closed set, so that a sender chooses none of it. The event's real name
//! stands in the record's key and `ce_type`.

/// The most characters that a well-formed event name may have.
const MAX_NAME: usize = 100;

/// Whether a text may be the name of an event: `[A-Za-z0-9_.-]{1,100}`.
pub fn is_well_formed(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// The kind of an event: ICR's seven, or one that we don't know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// The app was installed on an organization.
    Installed = 1,
    /// The app was removed.
    Uninstalled = 2,
    /// The installation was suspended.
    Suspended = 3,
    /// The installation was resumed.
    Unsuspended = 4,
    /// The organization accepted new permissions.
    NewPermissionsAccepted = 5,
    /// A transaction in the app's warehouse.
    WarehouseTransaction = 6,
    /// A transaction of the organization.
    OrganizationTransaction = 7,
    /// A well-formed name that is none of ICR's seven.
    Other = 255,
}

impl EventKind {
    /// All kinds, `Other` last.
    pub const ALL: &'static [Self] = &[
        Self::Installed,
        Self::Uninstalled,
        Self::Suspended,
        Self::Unsuspended,
        Self::NewPermissionsAccepted,
        Self::WarehouseTransaction,
        Self::OrganizationTransaction,
        Self::Other,
    ];
    /// The kind of a well-formed event name; case matters.
    pub fn of(name: &str) -> Self {
        match name {
            "installed" => Self::Installed,
            "uninstalled" => Self::Uninstalled,
            "suspended" => Self::Suspended,
            "unsuspended" => Self::Unsuspended,
            "newPermissionsAccepted" => Self::NewPermissionsAccepted,
            "warehouseTransaction" => Self::WarehouseTransaction,
            "organizationTransaction" => Self::OrganizationTransaction,
            _ => Self::Other,
        }
    }
    /// The metric label and `{event}` of a topic: ICR's name, or `other`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Uninstalled => "uninstalled",
            Self::Suspended => "suspended",
            Self::Unsuspended => "unsuspended",
            Self::NewPermissionsAccepted => "newPermissionsAccepted",
            Self::WarehouseTransaction => "warehouseTransaction",
            Self::OrganizationTransaction => "organizationTransaction",
            Self::Other => "other",
        }
    }
    /// One of ICR's two transaction events.
    pub fn is_transaction(self) -> bool {
        matches!(
            self,
            Self::WarehouseTransaction | Self::OrganizationTransaction
        )
    }
    /// One of ICR's five lifecycle events.
    pub fn is_lifecycle(self) -> bool {
        !self.is_transaction() && self != Self::Other
    }
    /// The kind with this number, as stored in a tag.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| *kind as u8 == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_label_and_its_code() {
        for &kind in EventKind::ALL {
            assert_eq!(EventKind::of(kind.label()), kind);
            assert_eq!(EventKind::from_code(kind as u8), Some(kind));
        }
        assert_eq!(EventKind::from_code(0), None);
        assert_eq!(EventKind::from_code(8), None);
    }

    #[test]
    fn case_matters_in_event_names() {
        assert_eq!(EventKind::of("Installed"), EventKind::Other);
        assert_eq!(EventKind::of("installed "), EventKind::Other);
    }

    #[test]
    fn an_event_is_of_one_family_at_most() {
        let count = |family: fn(EventKind) -> bool| {
            EventKind::ALL.iter().filter(|&&kind| family(kind)).count()
        };
        assert_eq!(count(EventKind::is_transaction), 2);
        assert_eq!(count(EventKind::is_lifecycle), 5);
        assert!(!EventKind::Other.is_lifecycle() && !EventKind::Other.is_transaction());
    }

    #[test]
    fn a_name_is_1_to_100_letters_digits_underscores_dots_and_hyphens() {
        for good in ["a", "A.b-c_9", "other", &"x".repeat(100)] {
            assert!(is_well_formed(good), "{good}");
        }
        for bad in [
            "",
            " ",
            "a b",
            "a/b",
            "é",
            "a\n",
            "{event}",
            &"x".repeat(101),
        ] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
