//! The web pages that may use a service from a browser, as a setting has them: origins with commas between.

use serde::{Deserialize, Deserializer};
use url::{Origin, Url};

use super::listed::{parsed, parts};

/// Origins (RFC 6454); none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// No other origin than the service's own.
    #[default]
    None,
    /// These, each as a browser writes it.
    Of(Vec<String>),
    /// Every origin.
    All,
}

impl Origins {
    /// Reads `https://app.example.com, http://localhost:3000`, or `*`; an empty text names no origin.
    ///
    /// # Errors
    /// What is wrong with the first part that is no origin.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = parts(text).collect();
        match parts.as_slice() {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::All),
            parts => parts
                .iter()
                .map(|part| origin(part))
                .collect::<Result<_, _>>()
                .map(Self::Of),
        }
    }

    /// Whether a page of this origin, as its browser writes it, may use the service.
    pub fn contain(&self, origin: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Of(origins) => origins.iter().any(|known| known.as_bytes() == origin),
            Self::All => true,
        }
    }
}

fn origin(part: &str) -> Result<String, String> {
    let no_origin = || {
        format!(
            "`{part}` is no origin: write scheme, host and port alone, with commas between, such as https://app.example.com; `*` stands alone"
        )
    };
    let url = Url::parse(part).map_err(|_| no_origin())?;
    // A star is a character of a host as others are, and no browser ever sends it.
    let is_bare = !part.contains('*')
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty();
    match url.origin() {
        origin @ Origin::Tuple(..) if is_bare && !part.ends_with('/') => Ok(origin.ascii_serialization()),
        _ => Err(no_origin()),
    }
}

impl<'de> Deserialize<'de> for Origins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, Self::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them_and_the_rest_is_named() {
        let origins = Origins::parse("https://App.Example.com:443, http://localhost:3000").unwrap();
        assert!(origins.contain(b"https://app.example.com") && origins.contain(b"http://localhost:3000"));
        for other in ["http://app.example.com", "https://example.com", "null", "", "*"] {
            assert!(!origins.contain(other.as_bytes()), "{other}");
        }
        assert_eq!(Origins::parse(" ").unwrap(), Origins::None);
        assert_eq!(Origins::parse("*").unwrap(), Origins::All);
        for wrong in [
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/app",
            "https://a@app.example.com",
            "https://*.example.com",
            "null",
            "file:///x",
            "*, https://app.example.com",
        ] {
            assert!(Origins::parse(wrong).unwrap_err().contains("no origin"), "{wrong}");
        }
    }
}
