use model::UserId;

use super::{Context, Delivery};

/// So many of those who were welcomed to a group may flag that before anybody succeeds; then the group is given up.
const MAX_DOUBTS: u32 = 2;

impl Delivery {
    /// Op 31: the member could not follow. It is pending again, and added again when its key package comes (DAVE protocol,
    /// "Recovery from Invalid Commit or Welcome").
    pub(crate) fn handle_invalid(&mut self, cx: &mut Context<'_>, user: UserId, transition: u16) {
        if self.version == 0 {
            return;
        }
        let Some(participant) = self.participants.get_mut(&user) else { return };
        cx.stats.recoveries += 1;
        (participant.leaf, participant.candidate, participant.established) = (None, None, false);
        self.transitions.excuse(user);
        self.transitions.drop_recipient(user, Some(transition));
        self.doubt(cx, user);
        self.settle(cx);
        self.execute(cx);
    }

    /// A group that nobody can join is the founder's fault ("Invalid Groups"): make another one, without that founder.
    fn doubt(&mut self, cx: &mut Context<'_>, user: UserId) {
        let Some(founder) = self.founder.filter(|founder| *founder != user && self.group.is_established()) else {
            return;
        };
        self.doubts += 1;
        if self.doubts >= MAX_DOUBTS {
            cx.stats.resets += 1;
            self.barred.insert(founder);
            self.renew();
        }
    }

    /// Whether others shall make the group first.
    pub(super) fn is_barred(&self, user: UserId) -> bool {
        self.barred.contains(&user) && self.participants.keys().any(|other| !self.barred.contains(other))
    }

    /// The session goes on after a resume whose replay told it everything, or not.
    pub(crate) fn handle_resumed(&mut self, cx: &mut Context<'_>, user: UserId, is_complete: bool) {
        let Some(participant) = self.participants.get_mut(&user) else { return };
        participant.connected = true;
        let max_version = participant.max_version;
        if self.version_for(max_version) == 0 {
            if !is_complete && max_version > 0 {
                self.prepare_transition(user, 0, 0);
            }
            return;
        }
        if !is_complete {
            self.prepare_epoch(user);
            self.catch_up(user);
            self.reset_sole(cx);
        } else if self.committers().contains(&user) {
            // The only commit to what stands may have been lost with the WebSocket: ask for another.
            self.revoke_all(cx);
        }
        self.settle(cx);
    }

    /// Tells of an earlier commit again, as of something new.
    pub(crate) fn repeat_commit(&mut self, user: Option<UserId>) {
        let Some(commit) = self.history.front().cloned() else { return };
        let transition = self.transitions.number();
        for user in self.committers().into_iter().filter(|it| user.is_none_or(|user| user == *it)) {
            let commit = commit.clone();
            self.tell_binary(user, gateway::binary::Message::AnnounceCommit { transition, commit });
        }
    }
}
