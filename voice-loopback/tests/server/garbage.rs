use std::time::Duration;

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_oneof, proptest};
use serde_json::json;
use voice_loopback::ConnId;

use crate::world::{World, address, identify, plain, resume, select};

/// One thing that a client, or somebody who pretends to be one, may do.
#[derive(Clone, Debug)]
enum Operation {
    Connect(String),
    Text(u64, String),
    Binary(u64, Vec<u8>),
    Disconnect(u64, Option<u16>),
    Datagram(u64, Vec<u8>),
    Pass(u64),
}

fn text() -> impl Strategy<Value = String> {
    let user = 1_u64..4;
    prop_oneof![
        any::<String>(),
        "\\{\"op\":[0-9]{1,2},\"d\":[\\{\\[\"0-9a-z:,\\]\\}]{0,20}\\}",
        user.clone().prop_map(|user| identify(user).to_string()),
        user.clone().prop_map(|user| select(address(user), "aead_aes256_gcm_rtpsize").to_string()),
        (user, any::<Option<i64>>()).prop_map(|(user, seq_ack)| resume(user, seq_ack).to_string()),
        any::<u32>().prop_map(|flags| json!({ "op": 5, "d": { "speaking": flags } }).to_string()),
        any::<u64>().prop_map(|nonce| json!({ "op": 3, "d": nonce }).to_string()),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let conn = 0_u64..6;
    prop_oneof![
        prop_oneof![Just("v=8".to_owned()), Just("v=4".to_owned()), any::<String>()].prop_map(Operation::Connect),
        (conn.clone(), text()).prop_map(|(conn, text)| Operation::Text(conn, text)),
        (conn.clone(), text()).prop_map(|(conn, text)| Operation::Text(conn, text)),
        (conn.clone(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(conn, frame)| Operation::Binary(conn, frame)),
        (conn, any::<Option<u16>>()).prop_map(|(conn, code)| Operation::Disconnect(conn, code)),
        (1_u64..4, prop::collection::vec(any::<u8>(), 0..100))
            .prop_map(|(from, bytes)| Operation::Datagram(from, bytes)),
        (0_u64..40_000).prop_map(Operation::Pass),
    ]
}

proptest! {
    #[test]
    fn nothing_that_clients_do_ends_the_server(operations in prop::collection::vec(operation(), 1..60), seed in any::<u64>()) {
        let mut world = World::new(plain().seed(seed));
        for operation in operations {
            match operation {
                Operation::Connect(query) => _ = world.connect(&query),
                Operation::Text(conn, text) => world.say_raw(conn, &text),
                Operation::Binary(conn, frame) => world.server.handle_binary(world.now, ConnId(conn), &frame),
                Operation::Disconnect(conn, code) => world.disconnect(conn, code),
                Operation::Datagram(from, bytes) => world.datagram(address(from), &bytes),
                Operation::Pass(millis) => world.pass(Duration::from_millis(millis)),
            }
            prop_assert!(world.server.members().count() <= 3, "one session for each user");
        }
        world.pass(Duration::from_secs(100));
        prop_assert!(world.server.poll_timeout().is_none(), "who is silent is forgotten in the end");
    }

    #[test]
    fn datagrams_of_any_length_are_survived(first in any::<u8>(), second in any::<u8>(), len in 0_usize..65_508) {
        let mut world = World::new(plain());
        let client = world.joined(1);
        let mut bytes = vec![0xA5; len];
        bytes.iter_mut().zip([first, second]).for_each(|(byte, with)| *byte = with);
        if let Some(ssrc) = bytes.get_mut(8..12) {
            ssrc.copy_from_slice(&client.ssrc.0.to_be_bytes());
        }
        world.datagram(address(9), &bytes);
        prop_assert!(world.server.stats().received == 0);
    }
}
