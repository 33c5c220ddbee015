//! Wire formats, one folder per API; nothing here decides anything.

pub mod gotrue;
