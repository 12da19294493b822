//! The processes that are measured: our services, and the ceilings beside them.

mod bare;
mod ceiling;
mod intake;
mod publisher;
mod redis_get;
mod role;
mod taker;
mod transaction;

pub(crate) use self::{
    bare::BODY_FILE,
    publisher::publish,
    redis_get::REDIS_KEY,
    role::{Role, serve},
    taker::take,
};
