//! Bodies that come compressed (`Content-Encoding`, RFC 9110, 8.4).

use std::io::Read;

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::{Problem, kinds};

/// What a body may come as, for `Accept-Encoding` of a refusal (RFC 9110, 12.5.3).
pub(super) const ACCEPTED: &str = "gzip, deflate";

/// How a body was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// Reads the encoding of a request's body. 415 for one that is not known, and for several upon each other.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut headers = request.headers().get_all(CONTENT_ENCODING);
        let (Some(header), None) = (headers.next(), headers.next()) else {
            let none = request.headers().get(CONTENT_ENCODING).is_none();
            return if none { Ok(Self::Identity) } else { Err(refusal()) };
        };
        match header.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" => Ok(Self::Deflate),
            _ => Err(refusal()),
        }
    }

    /// The body as it was before it was packed. 413 when that is more than `most` bytes: unpacking stops there. 400 when it
    /// was not packed so. A body that was not packed is handed back as it is.
    pub(super) fn unpack(self, body: Bytes, most: usize) -> Result<Bytes, Problem> {
        let mut unpacked = Vec::new();
        let bound = most as u64 + 1;
        let read = match self {
            Self::Identity => return Ok(body),
            Self::Gzip => MultiGzDecoder::new(&*body).take(bound).read_to_end(&mut unpacked),
            Self::Deflate => ZlibDecoder::new(&*body).take(bound).read_to_end(&mut unpacked),
        };
        read.map_err(|_| {
            Problem::new(&kinds::BAD_REQUEST).detail("The body is not packed as `Content-Encoding` says.")
        })?;
        if unpacked.len() > most {
            return Err(Problem::new(&kinds::TOO_LARGE));
        }
        Ok(unpacked.into())
    }
}

fn refusal() -> Problem {
    let known =
        format!("The body is packed in a way that is not read here. Send it as it is, or with one of: {ACCEPTED}.");
    Problem::unknown_encoding(ACCEPTED).detail(known)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use actix_web::test::TestRequest;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(body: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap().into()
    }

    fn of(values: &[&str]) -> Result<Encoding, u16> {
        let request = values.iter().fold(TestRequest::default(), |request, value| {
            request.append_header((CONTENT_ENCODING, *value))
        });
        Encoding::of(&request.to_http_request()).map_err(|problem| problem.kind().status)
    }

    #[test]
    fn what_is_known_is_told_apart_and_the_rest_is_415() {
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&["identity"]), Ok(Encoding::Identity));
        assert_eq!(of(&["GZip"]), Ok(Encoding::Gzip));
        assert_eq!(of(&["deflate"]), Ok(Encoding::Deflate));
        for unknown in [
            &["br"][..],
            &["zstd"],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &["aes128gcm"],
        ] {
            assert_eq!(of(unknown), Err(415), "{unknown:?}");
        }
    }

    #[test]
    fn a_body_is_unpacked_within_its_bound() {
        let status = |unpacked: Result<Bytes, Problem>| unpacked.map_err(|problem| problem.kind().status);
        assert_eq!(status(Encoding::Gzip.unpack(gzip(b"{}"), 2)), Ok("{}".into()));
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(b"{}").unwrap();
        let deflated = encoder.finish().unwrap().into();
        assert_eq!(status(Encoding::Deflate.unpack(deflated, 2)), Ok("{}".into()));
        let bomb = gzip(&vec![b' '; 50_000_000]);
        assert!(bomb.len() < 64 * 1024, "{}", bomb.len());
        assert_eq!(status(Encoding::Gzip.unpack(bomb, 64 * 1024)), Err(413));
        assert_eq!(status(Encoding::Gzip.unpack("{}".into(), 10)), Err(400));
        let cut = gzip(b"{\"email\": 1}").slice(..12);
        assert_eq!(status(Encoding::Gzip.unpack(cut, 100)), Err(400));
    }
}
