use model::UserId;

use super::proposal::Reference;

/// What the delivery service knows of the MLS group: its epoch, and who sits at which leaf.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// 0 before the group is established.
    epoch: u64,
    leaves: Vec<Option<Leaf>>,
}

/// One member of the group.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) user: UserId,
    /// The key package that they came with; the founder needs none.
    pub(super) package: Option<Reference>,
    /// `None` as long as nothing has told it.
    pub(super) signature_key: Option<Vec<u8>>,
    pub(super) encryption_key: Option<Vec<u8>>,
}

impl Group {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn is_established(&self) -> bool {
        self.epoch > 0
    }

    /// The epoch that the first commit makes; the founder is leaf 0 (RFC 9420, section 11).
    pub(super) fn found(founder: Leaf) -> Self {
        Self { epoch: 0, leaves: vec![Some(founder)] }
    }

    pub(super) fn leaf(&self, index: u32) -> Option<&Leaf> {
        self.leaves.get(index as usize)?.as_ref()
    }

    pub(super) fn leaf_mut(&mut self, index: u32) -> Option<&mut Leaf> {
        self.leaves.get_mut(index as usize)?.as_mut()
    }

    /// Everybody in the group, by leaf index.
    pub(super) fn leaves(&self) -> impl Iterator<Item = (u32, &Leaf)> {
        self.leaves.iter().enumerate().filter_map(|(index, leaf)| Some((index as u32, leaf.as_ref()?)))
    }

    /// Blanks a leaf. Removals come before additions, whatever their order in the commit (RFC 9420, section 12.3).
    pub(super) fn remove(&mut self, index: u32) {
        if let Some(leaf) = self.leaves.get_mut(index as usize) {
            *leaf = None;
        }
        while self.leaves.last().is_some_and(Option::is_none) {
            self.leaves.pop();
        }
    }

    /// Fills the leftmost blank leaf, or a new one at the right (RFC 9420, section 12.1.1); gives its index.
    pub(super) fn add(&mut self, leaf: Leaf) -> u32 {
        let index = self.leaves.iter().position(Option::is_none).unwrap_or(self.leaves.len());
        match self.leaves.get_mut(index) {
            Some(blank) => *blank = Some(leaf),
            None => self.leaves.push(Some(leaf)),
        }
        index as u32
    }

    /// The commit has been applied.
    pub(super) fn advance(&mut self) {
        self.epoch += 1;
    }
}

#[cfg(test)]
mod tests {
    use model::UserId;

    use super::{Group, Leaf};

    fn leaf(user: u64) -> Leaf {
        let user = UserId::new(user).expect("not zero");
        Leaf { user, package: None, signature_key: None, encryption_key: None }
    }

    #[test]
    fn additions_fill_the_leftmost_blank() {
        let mut group = Group::found(leaf(1));
        assert_eq!([2, 3, 4].map(|user| group.add(leaf(user))), [1, 2, 3]);
        group.remove(0);
        group.remove(2);
        assert_eq!([5, 6, 7].map(|user| group.add(leaf(user))), [0, 2, 4]);
        let users: Vec<u64> = group.leaves().map(|(_, leaf)| leaf.user.get()).collect();
        assert_eq!(users, [5, 2, 6, 4, 7]);
    }

    #[test]
    fn blanks_at_the_right_are_cut_off() {
        let mut group = Group::found(leaf(1));
        for user in [2, 3] {
            group.add(leaf(user));
        }
        group.remove(1);
        group.remove(2);
        group.remove(9);
        assert_eq!((group.leaves().count(), group.add(leaf(4))), (1, 1));
        assert!(group.leaf(2).is_none());
    }
}
