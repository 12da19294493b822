//! Draws tokens of a rate limit that processes share: one script, and the server's clock alone.
//!
//! The script below is the same function as [`Quota::draw`], which memory uses: the contract's tests hold both to one
//! model. Numbers are whole microseconds below 2^53, which Lua's doubles have exactly.

use std::sync::LazyLock;

use deadpool_redis::redis::{Script, ScriptInvocation};

use crate::resilience::Quota;

/// The key holds the theoretical arrival time, and is gone when that has come: no key and an arrival in the past mean
/// the same. ARGV: interval, tolerance, reserve, tokens wanted, an arrival that the caller knows of.
static DRAW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local time = redis.call('TIME')
         local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
         local interval, tolerance, reserve = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
         local wanted, known = tonumber(ARGV[4]), tonumber(ARGV[5])
         local kept = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
         local arrival = math.min(math.max(kept, known, now), now + tolerance + interval)
         local free = 0
         if arrival - now <= tolerance then
             free = math.floor((tolerance - (arrival - now)) / interval) + 1
         end
         local granted = math.min(wanted, free, math.max(free - reserve, 1))
         arrival = arrival + granted * interval
         local life = math.ceil((arrival - now) / 1000) + 1
         redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', string.format('%.0f', life))
         return {granted, arrival, now}",
    )
});

/// The call that draws up to `wanted` tokens from `key`. `known` is an arrival that the caller has seen there before:
/// a server that has forgotten it (it was flushed, or started anew) learns it again.
pub(super) fn draw(key: &str, quota: Quota, wanted: i64, known: i64) -> ScriptInvocation<'static> {
    let mut call = DRAW.key(key);
    call.arg(quota.interval()).arg(quota.tolerance()).arg(quota.reserve());
    call.arg(wanted).arg(known);
    call
}
