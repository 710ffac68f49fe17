//! What the flaws of restoring need: what was begun and added of each store, and doing it all again.

use crate::flaw::place;
use crate::world::World;
use broker_api::{ObjectRow, Result, RowId, Rows, StoreImage};
use broker_layers::{Answer, Call, Target, Visitor};

/// A store that is being restored.
#[derive(Clone, Default)]
pub(crate) struct Begun {
    pub(crate) image: Option<StoreImage>,
    pub(crate) pages: Vec<Rows>,
}

impl Begun {
    /// The rows, when they are those of a container.
    pub(crate) fn objects(&self) -> Vec<ObjectRow> {
        let pages = self.pages.iter().filter_map(|page| match page {
            Rows::Objects(rows) => Some(rows.clone()),
            Rows::Containers(_) => None,
        });
        pages.flatten().collect()
    }

    /// The highest number that is there.
    pub(crate) fn highest(&self) -> RowId {
        let last = self.pages.iter().filter_map(Rows::last).max();
        last.unwrap_or(RowId::NONE)
    }

    fn note(&mut self, asked: Call) {
        match asked {
            Call::SnapshotBegin(image) if self.image.as_ref() != Some(&*image) => {
                self.image = Some(*image);
                self.pages.clear();
            }
            Call::SnapshotAdd(rows) => self.pages.push(rows),
            Call::SnapshotFinish | Call::SnapshotAbandon => *self = Begun::default(),
            _ => {}
        }
    }
}

/// What was begun in this place.
pub(crate) fn begun(world: &World, target: &Target) -> Begun {
    world.remembered(&place(target)).unwrap_or_default()
}

/// Plays a call, and remembers what it did to a store that is being restored.
pub(crate) async fn noted(
    world: &World,
    target: &Target,
    call: Call,
    visitor: Visitor,
) -> Result<Answer> {
    let asked = call.clone();
    let answer = target.play(call, visitor).await?;
    world.change(place(target), |begun: &mut Begun| begun.note(asked));
    Ok(answer)
}

/// Begins anew, with other rows or another image.
pub(crate) async fn begin_again(target: &Target, begun: &Begun) -> Result<()> {
    target.ask(Call::SnapshotAbandon).await?;
    if let Some(image) = &begun.image {
        target
            .ask(Call::SnapshotBegin(Box::new(image.clone())))
            .await?;
    }
    for page in &begun.pages {
        target.ask(Call::SnapshotAdd(page.clone())).await?;
    }
    Ok(())
}

/// Plays a finish that may be refused; then, as if it was not looked at closely, another one.
pub(crate) async fn finish_in_spite(
    world: &World,
    target: &Target,
    call: Call,
    visitor: Visitor,
    overlook: fn(Begun) -> Begun,
) -> Result<Answer> {
    let is_finish = call == Call::SnapshotFinish;
    let refused = match noted(world, target, call, visitor).await {
        Err(error) if is_finish => error,
        answer => return answer,
    };
    let begun = begun(world, target);
    if begun.image.is_none() {
        return Err(refused);
    }
    begin_again(target, &overlook(begun.clone())).await?;
    let answer = target.ask(Call::SnapshotFinish).await;
    if answer.is_err() {
        begin_again(target, &begun).await?;
        return Err(refused);
    }
    answer
}
