//! argon2id (RFC 9106) on memory that is kept: a hash hands its memory to the next hash, not back to the allocator.
//!
//! Why: a hash works in some 19 MiB. When such a piece is freed, the C library keeps it in the arena of the thread that
//! asked for it, and a process that needs two pieces comes to hold a hundred. Here there are never more pieces than
//! hashes that ran at once, and each piece is overwritten with zeros before it is put away.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{
        Error, Result,
        phc::{Output, ParamsString, PasswordHash, Salt},
        try_generate_salt,
    },
};
use parking_lot::{Mutex, MutexGuard};
use zeroize::Zeroize;

use crate::settings::Argon2 as Cost;

/// The work of OWASP's parameters, in KiB times rounds.
const USUAL_WORK: u64 = 19_456 * 2;
/// A cost of more than this many times the usual work is too much.
const MOST_TIMES: u64 = 8;

/// What a hash costs to make, and so to check: its parameters without its salt, as they stand in a PHC string.
#[derive(Debug, Clone)]
pub(crate) struct HashCost {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

/// In blocks of 1 KiB: 1 GiB. A stored hash that asks for more, and for more than the settings do, is not checked.
const MOST_BLOCKS: usize = 1024 * 1024;

/// Hashes at the settings' cost; checks at the cost of the hash that is stored.
pub(crate) struct Argon2id {
    params: Params,
    kept: Mutex<Vec<Memory>>,
}

impl Argon2id {
    pub(crate) fn new(cost: &Cost) -> argon2::Result<Self> {
        Ok(Self {
            params: cost.params()?,
            kept: Mutex::default(),
        })
    }

    /// Hashes a new password, with a salt of its own, to a PHC string.
    pub(crate) fn hash(&self, password: &[u8]) -> Result<String> {
        let salt = Salt::new(&try_generate_salt()?)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params.clone());
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params)?,
            hash: Some(self.run(&argon2, password, &salt)?),
            salt: Some(salt),
        };
        Ok(hash.to_string())
    }

    /// Whether this PHC string is the password's hash; compares in constant time.
    pub(crate) fn verify(&self, password: &[u8], hash: &str) -> Result<bool> {
        let hash = PasswordHash::new(hash)?;
        let (Some(salt), Some(stored)) = (&hash.salt, &hash.hash) else {
            return Err(Error::EncodingInvalid);
        };
        Ok(self.run(&HashCost::of_parsed(&hash)?.argon2(), password, salt)? == *stored)
    }

    /// The cost of the hashes that [`Self::hash`] makes.
    pub(crate) fn cost(&self) -> HashCost {
        HashCost {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: self.params.clone(),
        }
    }

    /// Works as long as a check of a hash of this cost.
    pub(crate) fn work_off(&self, cost: &HashCost, password: &[u8]) -> Result<()> {
        self.run(&cost.argon2(), password, &[0; 16]).map(|_| ())
    }

    fn run(&self, argon2: &Argon2<'_>, password: &[u8], salt: &[u8]) -> Result<Output> {
        let blocks = argon2.params().block_count();
        if blocks > MOST_BLOCKS.max(self.params.block_count()) {
            return Err(Error::ParamInvalid { name: "m" });
        }
        let length = argon2.params().output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
        let mut bytes = [0; Output::MAX_LENGTH];
        let output = bytes.get_mut(..length).ok_or(Error::OutputSize)?;
        let mut memory = self.kept().pop().unwrap_or_default();
        let hashed = argon2.hash_password_into_with_memory(password, salt, output, memory.of(blocks));
        memory.of(blocks).iter_mut().for_each(Zeroize::zeroize);
        // What a hash of other settings needed beyond these is not held for good.
        if memory.0.len() <= self.params.block_count() {
            self.kept().push(memory);
        }
        hashed?;
        Ok(Output::new(output)?)
    }

    /// The pieces that no hash works in at present. The one that was put away last is taken first.
    fn kept(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.kept.lock()
    }
}

impl PartialEq for HashCost {
    /// Compares what decides the time: a length of 32 bytes that is given costs the same as one that is left out.
    fn eq(&self, other: &Self) -> bool {
        let key = |cost: &Self| {
            let params = &cost.params;
            let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
            (
                cost.algorithm,
                cost.version,
                params.m_cost(),
                params.t_cost(),
                params.p_cost(),
                length,
            )
        };
        key(self) == key(other)
    }
}

impl HashCost {
    /// Whether this cost is so far above both the other cost and the usual one that only the account with such a hash
    /// should pay for it.
    pub(crate) fn is_beyond(&self, other: &Self) -> bool {
        let work = |cost: &Self| u64::from(cost.params.m_cost()) * u64::from(cost.params.t_cost());
        work(self) > MOST_TIMES * work(other).max(USUAL_WORK)
    }

    /// Reads the cost of a PHC string.
    pub(crate) fn of(hash: &str) -> Result<Self> {
        Self::of_parsed(&PasswordHash::new(hash)?)
    }

    fn of_parsed(hash: &PasswordHash) -> Result<Self> {
        Ok(Self {
            algorithm: Algorithm::try_from(hash.algorithm.as_str())?,
            version: hash.version.map(Version::try_from).transpose()?.unwrap_or_default(),
            params: Params::try_from(hash)?,
        })
    }

    fn argon2(&self) -> Argon2<'static> {
        Argon2::new(self.algorithm, self.version, self.params.clone())
    }
}

/// The memory that one hash at a time works in. All of it is zero between two hashes.
#[derive(Default)]
struct Memory(Vec<Block>);

impl Memory {
    /// The first `blocks` blocks. Grows when it has fewer.
    fn of(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() < blocks {
            // The old blocks are freed first: nobody reckons with both at once.
            self.0 = Vec::new();
            self.0 = vec![Block::new(); blocks];
        }
        &mut self.0[..blocks]
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    fn of_cost(memory_kib: u32) -> Argon2id {
        let cost = Cost {
            memory_kib,
            iterations: 1,
            parallelism: 1,
        };
        Argon2id::new(&cost).unwrap()
    }

    #[test]
    fn hashes_of_other_costs_and_kinds_are_checked_by_their_own() {
        let argon2id = of_cost(64);
        for (algorithm, version, memory, output) in [
            (Algorithm::Argon2id, Version::V0x13, 16, 32),
            (Algorithm::Argon2id, Version::V0x13, 4096, 16),
            (Algorithm::Argon2i, Version::V0x10, 64, 64),
        ] {
            let params = Params::new(memory, 3, 2, Some(output)).unwrap();
            let foreign = Argon2::new(algorithm, version, params).hash_password(b"correct horse");
            let foreign = foreign.unwrap().to_string();
            assert_eq!(argon2id.verify(b"correct horse", &foreign), Ok(true), "{foreign}");
            assert_eq!(argon2id.verify(b"correct house", &foreign), Ok(false), "{foreign}");
        }
        let own = argon2id.hash(b"correct horse").unwrap();
        assert_eq!(argon2id.verify(b"correct horse", &own), Ok(true));
        let kept = argon2id.kept();
        assert!(
            kept.iter().all(|memory| memory.0.len() <= 64),
            "more than the settings' cost is kept"
        );
    }

    #[test]
    fn one_piece_of_memory_serves_all_that_run_one_by_one_and_is_left_empty() {
        let argon2id = of_cost(64);
        for password in [b"one", b"two"] {
            argon2id.hash(password).unwrap();
        }
        let kept = argon2id.kept();
        assert_eq!((kept.len(), kept[0].0.len()), (1, 64));
        assert!(
            kept[0]
                .0
                .iter()
                .all(|block| block.as_ref().iter().all(|word| *word == 0))
        );
    }

    #[test]
    fn what_is_no_hash_or_asks_for_too_much_memory_is_refused() {
        let argon2id = of_cost(8);
        let hash = argon2id.hash(b"correct horse").unwrap();
        for refused in ["", "$argon2id$v=19$m=8,t=1,p=1", &hash.replace("m=8", "m=2000000")] {
            assert!(argon2id.verify(b"correct horse", refused).is_err(), "{refused}");
        }
        assert!(argon2id.kept().iter().all(|memory| memory.0.len() <= 8));
    }
}
