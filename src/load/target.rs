//! Where deliveries go.

use url::{Host, Url};

/// An endpoint: an `http` or `https` URL, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    host: Host<String>,
    port: u16,
}

/// Why a text is no endpoint. Says nothing of a password.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TargetError {
    /// It is no URL.
    #[error("it is no URL ({0}); write one such as http://127.0.0.1:4040/webhook")]
    NotUrl(#[from] url::ParseError),
    /// Another scheme.
    #[error(
        "its scheme is `{0}`; http and https can be used, such as http://127.0.0.1:4040/webhook"
    )]
    Scheme(String),
    /// A user or password.
    #[error(
        "it holds a user name or password, which everybody on this machine could see; ICR's URLs have none"
    )]
    Credentials,
    /// No host, or port 0.
    #[error("it names no host and port; write one such as http://127.0.0.1:4040/webhook")]
    NoHost,
}

impl Target {
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text)?;
        // `localhost:4040/webhook` reads as a URL of scheme `localhost`.
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let host = url.host().map(|host| host.to_owned());
        let port = url.port_or_known_default().filter(|port| *port > 0);
        match (host, port) {
            (Some(host), Some(port)) => Ok(Self { url, host, port }),
            _ => Err(TargetError::NoHost),
        }
    }

    /// Whether it is on this machine for certain: a loopback address or a name under `localhost`.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.to_canonical().is_loopback(),
            Host::Domain(name) => {
                let name = name.trim_end_matches('.');
                name == "localhost" || name.ends_with(".localhost")
            }
        }
    }

    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Host and port, as one resolves them.
    pub(super) fn address(&self) -> (String, u16) {
        let host = match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        (host, self.port)
    }

    /// What the header `host` says.
    pub(super) fn authority(&self) -> &str {
        self.url.authority()
    }

    /// What the request line says.
    pub(super) fn path_and_query(&self) -> String {
        let query = self.url.query().map(|query| format!("?{query}"));
        format!("{}{}", self.url.path(), query.unwrap_or_default())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://Bridge.example:8443/webhook/sandbox?a=b#c").unwrap();
        assert_eq!(
            (target.address(), target.authority()),
            (("bridge.example".to_owned(), 8443), "bridge.example:8443")
        );
        assert_eq!(target.path_and_query(), "/webhook/sandbox?a=b");
        assert!(target.is_tls() && !target.is_loopback());
        let target = Target::parse("http://[::1]/webhook").unwrap();
        assert_eq!(target.address(), ("::1".to_owned(), 80));
        assert_eq!(target.authority(), "[::1]");
    }

    #[test]
    fn only_what_cannot_be_elsewhere_is_loopback() {
        for here in [
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "a.localhost",
            "LOCALHOST.",
        ] {
            assert!(
                Target::parse(&format!("http://{here}/"))
                    .unwrap()
                    .is_loopback(),
                "{here}"
            );
        }
        for there in [
            "128.0.0.1",
            "0.0.0.0",
            "bridge",
            "localhost.example",
            "notlocalhost",
            "[::2]",
        ] {
            assert!(
                !Target::parse(&format!("http://{there}/"))
                    .unwrap()
                    .is_loopback(),
                "{there}"
            );
        }
    }

    #[test]
    fn what_is_no_endpoint_is_told() {
        let error = |text: &str| Target::parse(text).unwrap_err().to_string();
        for (text, word) in [
            ("", "no URL"),
            ("/webhook", "no URL"),
            ("127.0.0.1:4040/webhook", "no URL"),
            ("localhost:4040/webhook", "scheme is `localhost`"),
            ("ftp://a/b", "scheme is `ftp`"),
            ("http://", "no URL"),
            ("http://a:0/", "host and port"),
            ("http://a:99999/", "no URL"),
            ("http://user:hunter2@a/", "password"),
        ] {
            assert!(error(text).contains(word), "{text}: {}", error(text));
            assert!(!error(text).contains("hunter2"));
        }
    }
}
