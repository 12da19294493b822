//! Where a service's rows are.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode;

use crate::config::Service;

/// Where a service's rows are, worked out from the one URL that all services share.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A schema of its own, found by `search_path`.
    Postgres {
        /// The URL as it was given; holds a password.
        url: String,
        /// `user_api`
        schema: &'static str,
    },
    /// A file of its own.
    Sqlite {
        /// The URL with the service's name in the file's.
        url: String,
        /// The file.
        file: PathBuf,
    },
}

impl Location {
    /// Reads `url` on behalf of `service`: `sqlite://w.db?x` becomes `sqlite://w-user-api.db?x`.
    ///
    /// `None` when the scheme is neither `postgres` nor `sqlite`, or no file is named.
    pub fn of(url: &str, service: Service) -> Option<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Some(Self::Postgres {
                url: url.to_owned(),
                schema: service.identifier(),
            });
        }
        let rest = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
        let (path, query) = rest
            .split_once('?')
            .map_or((rest, None), |(path, query)| (path, Some(query)));
        let path = Path::new(path);
        let stem = path.file_stem()?.to_str()?;
        let name = match path.extension().and_then(|extension| extension.to_str()) {
            Some(extension) => format!("{stem}-{service}.{extension}"),
            None => format!("{stem}-{service}"),
        };
        let file = path.with_file_name(name);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let url = format!("sqlite://{}{query}", file.display());
        // As the client opens it.
        let decoded = percent_decode(file.as_os_str().as_encoded_bytes()).decode_utf8().ok()?;
        Some(Self::Sqlite {
            url,
            file: PathBuf::from(decoded.as_ref()),
        })
    }
}

impl std::fmt::Debug for Location {
    /// Without the URL: it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Postgres { schema, .. } => write!(f, "PostgreSQL, schema {schema}"),
            Self::Sqlite { file, .. } => write!(f, "SQLite, {}", file.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_a_service_keeps_its_folder_and_its_options() {
        let Some(Location::Sqlite { url, file }) = Location::of("sqlite://a/w.db?mode=rwc", Service::UserApi) else {
            panic!("not SQLite");
        };
        assert_eq!(url, "sqlite://a/w-user-api.db?mode=rwc");
        assert_eq!(file, Path::new("a/w-user-api.db"));
        let Some(Location::Sqlite { url, file }) = Location::of("sqlite://my%20data/w.db", Service::UserApi) else {
            panic!("a file");
        };
        assert_eq!(
            (url.as_str(), file.to_str()),
            ("sqlite://my%20data/w-user-api.db", Some("my data/w-user-api.db"))
        );
    }

    #[test]
    fn a_server_s_url_stays_as_it_is_one_with_ipv6_too() {
        for url in ["postgres://me@[::1]:5432/waypost", "postgresql://db.test/waypost"] {
            let schema = "user_api";
            let location = Location::of(url, Service::UserApi);
            let url = url.to_owned();
            assert_eq!(location, Some(Location::Postgres { url, schema }));
        }
    }

    #[test]
    fn other_schemes_are_refused() {
        assert_eq!(Location::of("mysql://x", Service::UserApi), None);
    }
}
