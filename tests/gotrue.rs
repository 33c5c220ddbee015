//! The GoTrue face, route by route, where its recordings do not reach.

mod races;
mod roundtrips;
