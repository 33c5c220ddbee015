//! Indexes that make searching users fast.

use super::settings::settings;

settings! {
    /// Indexes that make searching users fast.
    pub struct IndexWorker("GOTRUE_INDEX_WORKER_") {
        /// The indexes are made at the start.
        ensure_user_search_indexes_exist: bool = "false",
        /// The indexes are made if there are no more users than this; 0: not for this reason.
        max_users_threshold: u64 = "0",
    }
}
