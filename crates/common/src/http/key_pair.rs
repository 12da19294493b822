//! The key pairs that sign access tokens: how one is made, and the form that it is kept in.
//!
//! Who verifies has the public halves alone ([`keys`](super::keys)).

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey};

/// What was read is no Ed25519 key pair in the form that one is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key is not an Ed25519 key")]
pub struct UnusableKey;

/// An Ed25519 key pair (RFC 8032).
#[derive(Debug)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// A pair that nobody has yet.
    pub fn random() -> Self {
        Self::of(rand::random())
    }

    /// The pair of a secret: the private key as RFC 8032 has it.
    pub fn of(secret: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&secret))
    }

    /// Reads what [`written`](Self::written) wrote.
    ///
    /// # Errors
    /// [`UnusableKey`] when `written` is anything else.
    pub fn read(written: &[u8]) -> Result<Self, UnusableKey> {
        SigningKey::from_pkcs8_der(written).map(Self).map_err(|_| UnusableKey)
    }

    /// The pair as it is kept: PKCS #8 in DER (RFC 8410), without the public half. Tokens are signed from this form alone.
    ///
    /// # Errors
    /// [`UnusableKey`] when it can't be encoded.
    pub fn written(&self) -> Result<Vec<u8>, UnusableKey> {
        let secret = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let written = secret.to_pkcs8_der().map_err(|_| UnusableKey)?;
        Ok(written.as_bytes().to_vec())
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Its id: the thumbprint of the public half (RFC 7638), with SHA-256, in base64url.
    ///
    /// # Errors
    /// [`UnusableKey`] when it can't be encoded.
    pub fn id(&self) -> Result<String, UnusableKey> {
        Jwk::from_encoding_key(&self.signing()?, Algorithm::EdDSA)
            .and_then(|public| public.thumbprint(ThumbprintHash::SHA256))
            .map_err(|_| UnusableKey)
    }

    /// What tokens are signed with.
    ///
    /// # Errors
    /// [`UnusableKey`] when it can't be encoded.
    pub fn signing(&self) -> Result<EncodingKey, UnusableKey> {
        Ok(EncodingKey::from_ed_der(&self.written()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secret and the public half of the key of RFC 8037, appendix A.1, which is that of RFC 8032, section 7.1.
    const SECRET: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
        0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    const PUBLIC: [u8; 4] = [0xd7, 0x5a, 0x98, 0x01];
    /// Its thumbprint there, in appendix A.3.
    const ID: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

    #[test]
    fn a_pair_that_was_written_is_read_as_it_was() {
        let pair = KeyPair::random();
        let read = KeyPair::read(&pair.written().unwrap()).unwrap();
        assert_eq!((read.public(), read.id()), (pair.public(), pair.id()));
        assert_ne!(pair.public(), KeyPair::random().public());
    }

    #[test]
    fn the_pair_of_the_standard_has_its_public_half_its_id_and_its_form() {
        let pair = KeyPair::of(SECRET);
        assert!(pair.public().starts_with(&PUBLIC));
        assert_eq!(pair.id().unwrap(), ID);
        // The bytes before the secret are those of every pair in a database: a change of them locks everybody out.
        let before = [
            0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
        ];
        assert_eq!(pair.written().unwrap(), [before.as_slice(), &SECRET].concat());
    }

    #[test]
    fn what_is_no_pair_is_not_read() {
        for written in [&[][..], b"\x30\x2e\x02\x01", &[7; 48]] {
            assert_eq!(KeyPair::read(written).unwrap_err(), UnusableKey);
        }
    }
}
