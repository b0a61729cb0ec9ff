//! Treeherder's own name of a job.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::TaskId;

/// The task and run of a job that ran on Taskcluster. Treeherder calls it `<task id>/<run>`, with the 16 bytes of the task
/// id either as they are or written as a UUID. None for a job of another system: Buildbot's are 40 hexadecimal digits, some
/// with `_` and five more.
#[must_use]
pub fn task_of(guid: &str) -> Option<(TaskId, u16)> {
    let (task, run) = guid.split_once('/')?;
    let plain = (1..=4).contains(&run.len()) && run.bytes().all(|byte| byte.is_ascii_digit());
    let run = run.parse().ok().filter(|_| plain)?;
    let task = task.parse().ok().or_else(|| from_uuid(task))?;
    Some((task, run))
}

/// The task id with a UUID's bytes. Unlike in derived ids no bit is changed: old ids may begin with `-`.
fn from_uuid(text: &str) -> Option<TaskId> {
    let groups: Vec<&str> = text.split('-').collect();
    if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
        return None;
    }
    let digits = groups.concat();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    URL_SAFE_NO_PAD.encode(bytes).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn uuid(bytes: [u8; 16]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    #[test]
    fn a_slugid_and_its_uuid_name_one_task() {
        // From the documentation of slugid: the same 16 bytes in both forms.
        let slug: TaskId = "v8_vkpAAQSGsc9Y0Ao5XBQ".parse().unwrap();
        for guid in ["bfcfef92-9000-4121-ac73-d634028e5705/3", "BFCFEF92-9000-4121-AC73-D634028E5705/3"] {
            assert_eq!(task_of(guid), Some((slug, 3)));
        }
        assert_eq!(task_of("v8_vkpAAQSGsc9Y0Ao5XBQ/0"), Some((slug, 0)));
    }

    proptest! {
        #[test]
        fn every_uuid_keeps_its_bytes(bytes: [u8; 16], run in 0_u16..50) {
            let (task, read) = task_of(&format!("{}/{run}", uuid(bytes))).unwrap();
            prop_assert_eq!(URL_SAFE_NO_PAD.decode(task.as_str()).unwrap(), bytes);
            prop_assert_eq!(read, run);
        }
    }

    #[test]
    fn other_systems_jobs_are_no_tasks() {
        for guid in [
            "",
            "/",
            "c6ae49505944c574e9247bcce81e8d2cb99b0721",
            "c6ae49505944c574e9247bcce81e8d2cb99b0721_12345",
            "bfcfef92-9000-4121-ac73-d634028e5705",
            "bfcfef92-9000-4121-ac73-d634028e5705/",
            "bfcfef92-9000-4121-ac73-d634028e5705/-1",
            "bfcfef92-9000-4121-ac73-d634028e5705/+1",
            "bfcfef92-9000-4121-ac73-d634028e5705/12345",
            "bfcfef92-9000-4121-ac73-d634028e570ä/0",
            "bfcfef929000-4121-ac73-d634-028e5705/0",
            "v8_vkpAAQSGsc9Y0Ao5XB/0",
            "v8_vkpAAQSGsc9Y0Ao5XBQ/0/0",
        ] {
            assert_eq!(task_of(guid), None, "{guid}");
        }
    }
}
