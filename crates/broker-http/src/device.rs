//! Whether a device can be used, and whether it has room for a write.

use broker_api::{DeviceHealth, ErrorKind};
use swift_conf::value::FallocateReserve;

use crate::context::ServerContext;
use crate::response::{self, Refused};
use crate::status;

/// Room on a device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    free: u64,
    total: u64,
}

/// Checks that a device is there.
///
/// # Errors
/// 507 when it is not, or when its name cannot be one.
pub(crate) async fn check(context: &ServerContext, device: &str) -> Result<Room, Refused> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_.-~".contains(&b);
    if !device.bytes().all(is_name) {
        return Err(response::no_room(device).into());
    }
    match context.engine.device_health(device).await {
        Ok(DeviceHealth::Ready {
            free_bytes,
            total_bytes,
        }) => Ok(Room {
            free: free_bytes,
            total: total_bytes,
        }),
        Ok(DeviceHealth::Absent) => Err(response::no_room(device).into()),
        Err(error) if error.kind() == ErrorKind::Io => {
            tracing::error!(%error, cause = status::cause(&error), "device {device} cannot be used");
            Err(response::no_room(device).into())
        }
        Err(error) => Err(status::refuse(&error, device)),
    }
}

/// Checks that a device is there and has the room that must remain.
///
/// # Errors
/// 507 when it is not or has not.
pub(crate) async fn check_room(context: &ServerContext, device: &str) -> Result<(), Refused> {
    let room = check(context, device).await?;
    match has_room(room, context.fallocate_reserve) {
        true => Ok(()),
        false => Err(response::no_room(device).into()),
    }
}

fn has_room(room: Room, reserve: FallocateReserve) -> bool {
    match reserve {
        FallocateReserve::Bytes(bytes) => room.free >= bytes,
        FallocateReserve::Percent(percent) if room.total == 0 => percent <= 0.0,
        FallocateReserve::Percent(percent) => {
            100.0 * room.free as f64 / room.total as f64 >= percent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bytes_or_a_share() {
        let room = Room {
            free: 10,
            total: 1000,
        };
        assert!(has_room(room, FallocateReserve::Bytes(10)));
        assert!(!has_room(room, FallocateReserve::Bytes(11)));
        assert!(has_room(room, FallocateReserve::Percent(1.0)));
        assert!(!has_room(room, FallocateReserve::Percent(1.1)));
        let nothing = Room { free: 0, total: 0 };
        assert!(!has_room(nothing, FallocateReserve::Percent(1.0)));
        assert!(has_room(nothing, FallocateReserve::Percent(0.0)));
    }
}
