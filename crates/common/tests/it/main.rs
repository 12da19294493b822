//! Tests of common that meet real servers.

mod database;
