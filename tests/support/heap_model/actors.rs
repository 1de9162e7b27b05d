//! The threads that make the calls: one after the other, each waits for its turn.

use highwater::heap::Heap;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

/// What goes to another thread and comes back.
struct Passed<T>(T);

// SAFETY: a thread that passes something waits for the answer, so one thread at a time has it.
unsafe impl<T> Send for Passed<T> {}

impl<T> Passed<T> {
    fn get(self) -> T {
        self.0
    }
}

type Job = Box<dyn FnOnce() + Send>;

struct Actor {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

impl Actor {
    fn start() -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        let thread = std::thread::spawn(move || todo.into_iter().for_each(|job| job()));
        Actor { jobs, thread }
    }

    fn end(self) {
        drop(self.jobs);
        self.thread.join().expect("nothing went wrong there");
    }
}

/// The calling thread is the first of them; the others are made when they are needed.
#[derive(Default)]
pub struct Actors([Option<Actor>; 2]);

impl Actors {
    /// Makes a call in a thread and waits for what it returns.
    pub fn ask<R: 'static>(
        &mut self,
        by: usize,
        heap: &Arc<Heap>,
        call: impl FnOnce(&Heap) -> R + 'static,
    ) -> R {
        let Some(actor) = by.checked_sub(1) else { return call(heap) };
        let actor = self.0[actor].get_or_insert_with(Actor::start);
        let (answer, answered) = mpsc::sync_channel(1);
        let passed = Passed((call, heap.clone()));
        let job = move || {
            let (call, heap) = passed.get();
            let result = call(&heap);
            // Only the model has the heap when it goes on.
            drop(heap);
            answer.send(Passed(result)).expect("the model waits");
        };
        actor.jobs.send(Box::new(job)).expect("it is there");
        answered.recv().expect("nothing went wrong there").get()
    }

    /// Which threads there are.
    pub fn present(&self) -> Vec<usize> {
        let others = self.0.iter().enumerate().filter(|(_, actor)| actor.is_some());
        std::iter::once(0).chain(others.map(|(at, _)| at + 1)).collect()
    }

    /// A thread ends; the next call of the same number is another one's.
    pub fn end(&mut self, by: usize) {
        if let Some(actor) = by.checked_sub(1).and_then(|actor| self.0[actor].take()) {
            actor.end();
        }
    }
}

impl Drop for Actors {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.iter_mut().filter_map(Option::take).for_each(Actor::end);
        }
    }
}
