use serde_json::Value;
use voice_gateway::text::{self, Dialect, Frame, Message};

use crate::gateway::Machine;
use crate::input::Input;

/// Lines that are no messages are operations: their first byte, then arguments.
const OPERATION: u8 = b'!';

/// JSON messages: what is read and written is read as the same, in both dialects; and a gateway machine that is fed
/// with them, a line each.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn gateway_text(data: &[u8]) {
    let mut machine = Machine::at_stage(data.first().copied().unwrap_or_default());
    for line in data.get(1..).unwrap_or_default().split(|&byte| byte == b'\n') {
        match line.split_first() {
            Some((&OPERATION, arguments)) => operate(&mut machine, &mut Input::new(arguments)),
            _ => message(&mut machine, &String::from_utf8_lossy(line)),
        }
        machine.check();
    }
}

fn operate(machine: &mut Machine, input: &mut Input) {
    match input.below(6) {
        0 => machine.open(),
        1 => machine.close(),
        2 => machine.wait(input.byte()),
        3 => machine.select(&String::from_utf8_lossy(input.rest())),
        4 => machine.gateway.set_speaking(machine.now, u32::from(input.byte())),
        _ => {
            if let Ok(frame) = text::read(&String::from_utf8_lossy(input.rest())) {
                machine.gateway.send(&frame.message);
            }
        }
    }
}

fn message(machine: &mut Machine, line: &str) {
    machine.gateway.handle_text(machine.now, line);
    let frame = match text::read(line) {
        Ok(frame) => frame,
        Err(error) => return assert!(error.reason.len() <= 512, "a reason as long as its cause"),
    };
    let written = text::write(Dialect::V8, frame.seq, &frame.message);
    let again = text::read(&written).expect("what was written can be read");
    assert_eq!((again.seq, again.message.op()), (frame.seq, frame.message.op()));
    if is_exact(&frame.message) {
        assert_eq!(again, frame);
        assert_eq!(text::write(Dialect::V8, again.seq, &again.message), written);
    }
    let old = text::read(&text::write(Dialect::V4, frame.seq, &frame.message)).expect("as above");
    assert_eq!(old.seq, None, "clients before v8 know no sequence numbers");
    assert_eq!(old.message.op(), frame.message.op());
    // What v4 has no room for.
    let is_cut = matches!(frame, Frame { message: Message::Heartbeat(_) | Message::Resume(_), .. });
    assert!(is_cut || !is_exact(&frame.message) || old.message == frame.message);
}

/// Whether there is no float in it: serde_json reads them to the last bit but one.
fn is_exact(message: &Message) -> bool {
    fn is_whole(value: &Value) -> bool {
        match value {
            Value::Number(number) => !number.is_f64(),
            Value::Array(values) => values.iter().all(is_whole),
            Value::Object(fields) => fields.values().all(is_whole),
            Value::Null | Value::Bool(_) | Value::String(_) => true,
        }
    }
    // Milliseconds of a hello are whole on the wire only.
    !matches!(message, Message::Hello(_)) && serde_json::to_value(message).is_ok_and(|value| is_whole(&value))
}
