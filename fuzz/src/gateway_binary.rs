use voice_gateway::binary;

use crate::gateway::Machine;
use crate::input::Input;

/// Binary frames of DAVE: what is read is written as it came, in both directions; and a gateway machine that is fed with
/// them.
///
/// # Panics
///
/// When an invariant does not hold.
pub fn gateway_binary(data: &[u8]) {
    let mut input = Input::new(data);
    let mut machine = Machine::at_stage(input.byte());
    while !input.is_empty() {
        match input.below(8) {
            0 => machine.open(),
            1 => machine.close(),
            2 => machine.wait(input.byte()),
            3 => {
                let frame = input.bytes();
                if let Ok(message) = binary::read_client(frame) {
                    machine.gateway.send_binary(&message);
                }
            }
            // A long one: the rest.
            4 => frame(&mut machine, input.rest()),
            _ => frame(&mut machine, input.bytes()),
        }
        machine.check();
    }
}

fn frame(machine: &mut Machine, frame: &[u8]) {
    let before = machine.gateway.stats();
    machine.gateway.handle_binary(machine.now, frame);
    match binary::read_server(frame) {
        Ok((seq, message)) => assert_eq!(binary::write_server(seq, &message), frame),
        Err(error) => {
            assert_eq!(error.len, frame.len());
            let after = machine.gateway.stats();
            let noise = after.malformed + after.unexpected - before.malformed - before.unexpected;
            assert_eq!(noise, 1, "noise is counted, once");
        }
    }
    if let Ok(message) = binary::read_client(frame) {
        assert_eq!(message.op(), frame[0]);
        assert_eq!(binary::write_client(&message), frame);
    }
}
