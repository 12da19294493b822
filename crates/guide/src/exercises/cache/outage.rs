//! cache-3: Redis is away, and reads are answered all the same. Looks at a user-api that runs.

use crate::exercises::exercise::{Attempt, Verdict};
use crate::exercises::running::Measured;

/// Reads that are asked for.
const READS: f64 = 10.0;
const METRIC: &str = "waypost_cache_reads_total";

pub(crate) async fn check(attempt: Attempt) -> Verdict {
    let measured = Measured::at(&attempt.at).await?;
    let by = |layer, outcome| measured.sum(METRIC, &[("layer", layer), ("outcome", outcome)]);
    let (process, store) = (by("l1", "hit"), by("redis", "hit"));
    let bypassed = by("redis", "bypass") + by("redis", "error");
    let (database, failed) = (by("database", "hit"), by("database", "error"));
    if process + store > 0.0 {
        return Err(format!(
            "{} reads were answered by a cache, so the store is not away: start Waypost with a WAYPOST__STORE__URL at \
             which nobody listens.",
            process + store
        ));
    }
    if database < READS {
        return Err(format!(
            "{database} profiles were read from the database so far; read one {READS} times."
        ));
    }
    if failed > 0.0 {
        return Err(format!(
            "{failed} reads of the database failed: Redis alone is to be away."
        ));
    }
    Ok(format!(
        "Redis was passed by {bypassed} times; {database} reads went to the database, and each was answered."
    ))
}
