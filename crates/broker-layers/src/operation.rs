//! The names of the contract's operations.

use std::fmt;

macro_rules! operations {
    (reads { $($read:ident $read_name:literal)+ } writes { $($write:ident $write_name:literal)+ }) => {
        /// An operation of the contract, whatever its arguments.
        ///
        /// Accounts and containers share one where they share a meaning: errors of the engines do so too.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $(#[doc = concat!("Reads: `", $read_name, "`.")] $read,)+
            $(#[doc = concat!("Writes: `", $write_name, "`.")] $write,)+
        }

        impl Operation {
            /// All operations.
            pub const ALL: &[Operation] = &[$(Operation::$read,)+ $(Operation::$write,)+];

            /// The name of the method.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Operation::$read => $read_name,)+
                    $(Operation::$write => $write_name,)+
                }
            }

            /// Whether the operation may change a store or the engine.
            pub fn is_mutation(self) -> bool {
                matches!(self, $(Operation::$write)|+)
            }
        }
    };
}

operations! {
    reads {
        Stores "stores"
        Synced "synced"
        DeviceHealth "device_health"
        Exists "exists"
        Info "info"
        SyncPoints "sync_points"
        ItemsSince "items_since"
        ListContainers "list_containers"
        ListObjects "list_objects"
    }
    writes {
        Quarantine "quarantine"
        Remove "remove"
        SetSynced "set_synced"
        Initialize "initialize"
        Delete "delete"
        UpdatePutTimestamp "update_put_timestamp"
        UpdateStatusChangedAt "update_status_changed_at"
        MergeTimestamps "merge_timestamps"
        UpdateMetadata "update_metadata"
        Upgrade "upgrade"
        MergeSyncPoints "merge_sync_points"
        NewId "new_id"
        Reclaim "reclaim"
        MergeItems "merge_items"
        RemoveObjects "remove_objects"
        SetStoragePolicyIndex "set_storage_policy_index"
        SetMarks "set_marks"
        SnapshotBegin "snapshot_begin"
        SnapshotAdd "snapshot_add"
        SnapshotFinish "snapshot_finish"
        SnapshotAbandon "snapshot_abandon"
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
