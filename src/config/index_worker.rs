//! Indexes that make listing and searching users fast.

use super::environment::Environment;
use super::settings::settings;

settings! {
    /// Indexes that make listing and searching users fast.
    pub struct IndexWorker("GOTRUE_INDEX_WORKER_") {
        /// The indexes are built beside the traffic when the server has started. (GoTrue does so only when told to.)
        ensure_user_search_indexes_exist: bool = "true",
        /// Where the switch above is off or not set, they are built if there are no more users than this; 0: not for
        /// this reason.
        max_users_threshold: u64 = "0",
    }
}

impl IndexWorker {
    /// As in GoTrue, who names only a number of users wants no indexes beyond it.
    pub(super) fn settle(&mut self, environment: &Environment) {
        let is_set = environment
            .get("GOTRUE_INDEX_WORKER_ENSURE_USER_SEARCH_INDEXES_EXIST")
            .is_some();
        self.ensure_user_search_indexes_exist &= is_set || self.max_users_threshold == 0;
    }

    /// Whether they may be built at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.ensure_user_search_indexes_exist || self.max_users_threshold > 0
    }

    /// Beyond how many users they are not built.
    #[must_use]
    pub fn most_users(&self) -> Option<u64> {
        (!self.ensure_user_search_indexes_exist).then_some(self.max_users_threshold)
    }
}
