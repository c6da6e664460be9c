/// Whether a clock thread runs with real-time priority, see [`Config::realtime`](crate::Config::realtime).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Realtime {
    /// It was not asked for.
    #[default]
    NotAsked,
    /// It does: Linux SCHED_FIFO.
    Granted,
    /// The system does not allow it, for this reason; the thread runs with the priority of any other.
    Refused(String),
}

/// Above ordinary threads, and below those of the kernel, which wake sockets and timers: they have 50 (sched(7)).
#[cfg(target_os = "linux")]
const PRIORITY: u8 = 10;

/// Asks the system for real-time priority for the calling thread.
#[cfg(target_os = "linux")]
pub(super) fn ask() -> Realtime {
    use thread_priority::unix::{
        RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    };
    use thread_priority::{Error, ThreadPriority, ThreadPriorityValue};

    let Ok(priority) = ThreadPriorityValue::try_from(PRIORITY) else {
        return Realtime::Refused(format!("there is no priority {PRIORITY}"));
    };
    let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(priority), fifo) {
        Ok(()) => Realtime::Granted,
        Err(Error::OS(code)) => Realtime::Refused(format!(
            "{}: raise its limit of real-time priority (RLIMIT_RTPRIO, \"rtprio\" in limits.conf, LimitRTPRIO= of systemd) to \
             {PRIORITY} or more, or give it CAP_SYS_NICE",
            std::io::Error::from_raw_os_error(code)
        )),
        Err(error) => Realtime::Refused(format!("{error:?}")),
    }
}

/// Asks the system for real-time priority for the calling thread.
#[cfg(not(target_os = "linux"))]
pub(super) fn ask() -> Realtime {
    Realtime::Refused("only done on Linux".to_owned())
}
