//! Where a broker is, and as whom to connect.

use std::fmt;
use std::str::FromStr;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use percent_encoding::percent_decode_str;
use url::Url;

/// Seconds: a broker or a network that is gone without a word is noticed after twice as long.
const HEARTBEAT: u16 = 30;

/// A broker's URL: `amqp://` or `amqps://`, perhaps user and password, a host, perhaps a port and a virtual host.
///
/// Without a user it is `guest`, as everywhere; without a virtual host, or with an empty one, it is `/`. It is shown
/// without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) uri: Box<AMQPUri>,
    says_password: bool,
}

/// No address of a broker. What was given isn't shown, since it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("that is no broker's URL: {0}")]
pub struct AddressError(String);

impl Address {
    /// Who connects. On Pulse, that user's queues are named `queue/<user>/…`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.uri.authority.userinfo.username
    }

    /// The same for another user.
    #[must_use]
    pub fn with_user(mut self, user: String) -> Self {
        self.uri.authority.userinfo.username = user;
        self
    }

    /// The same with another password, where it comes from a safer place than the URL.
    #[must_use]
    pub fn with_password(mut self, password: String) -> Self {
        self.uri.authority.userinfo.password = password;
        self.says_password = true;
        self
    }

    /// Whether there is a password other than what goes without saying.
    #[must_use]
    pub fn says_password(&self) -> bool {
        self.says_password
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |why: &str| AddressError(why.to_owned());
        let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
        let scheme: AMQPScheme = url.scheme().parse().map_err(|_| refuse("amqp:// or amqps:// is needed"))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| refuse("it has no host"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query or a fragment"));
        }
        let decoded = |part: &str, what: &str| {
            let decoded = percent_decode_str(part).decode_utf8();
            decoded.map(|part| part.into_owned()).map_err(|_| refuse(&format!("its {what} is no UTF-8")))
        };
        let user = if url.username().is_empty() { "guest" } else { url.username() };
        let virtual_host = url.path().strip_prefix('/').filter(|path| !path.is_empty()).unwrap_or("/");
        Ok(Self {
            says_password: url.password().is_some(),
            uri: Box::new(AMQPUri {
                authority: AMQPAuthority {
                    userinfo: AMQPUserInfo {
                        username: decoded(user, "user")?,
                        password: decoded(url.password().unwrap_or("guest"), "password")?,
                    },
                    // Brackets are a URL's way to write an IPv6 address.
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port: url.port().unwrap_or_else(|| scheme.default_port()),
                },
                vhost: decoded(virtual_host, "virtual host")?,
                query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
                scheme,
            }),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPAuthority { host, port, .. } = &self.uri.authority;
        write!(f, "{}://{}@{host}:{port}", self.uri.scheme, self.user())?;
        if self.uri.vhost == "/" { Ok(()) } else { write!(f, "/{}", self.uri.vhost) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_leaves_out_is_as_usual() {
        let shown = |text: &str| text.parse::<Address>().unwrap().to_string();
        assert_eq!(shown("amqp://localhost"), "amqp://guest@localhost:5672");
        assert_eq!(shown("amqp://localhost/"), "amqp://guest@localhost:5672");
        assert_eq!(shown("amqps://pulse.example.com/%2f"), "amqps://guest@pulse.example.com:5671");
        assert_eq!(shown("amqp://a%40b:c@[::1]:7/x%2Fy"), "amqp://a@b@::1:7/x/y");
    }

    #[test]
    fn a_password_is_understood_and_never_shown() {
        let address: Address = "amqps://ann:s3%2Fcret@pulse.example.com".parse().unwrap();
        assert_eq!(address.uri.authority.userinfo.password, "s3/cret");
        let other = address.clone().with_password("s3cret too".to_owned());
        assert!(address.says_password() && other.says_password());
        assert!(!"amqps://ann@pulse.example.com".parse::<Address>().unwrap().says_password());
        for address in [address, other] {
            assert!(!format!("{address} {address:?}").contains("s3"));
        }
        for text in ["http://ann:s3cret@x", "amqp://ann:s3cret@/", "amqp://ann:s3cret@x/?a=b", "ann:s3cret@x", "s3cret"]
        {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
