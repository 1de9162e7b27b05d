//! The example `handles`: the graph is the same with references and with handles, and smaller.
// The same with every engine and feature: once is enough.
#![cfg(all(highwater_fault, not(feature = "log")))]

#[allow(dead_code, reason = "the test has a main of its own")]
#[path = "../../examples/handles.rs"]
mod example;

#[test]
fn both_graphs_answer_alike_and_handles_take_less() {
    for nodes in [0, 1, 2, 1000, 20_000] {
        let [references, handles] = example::run(nodes);
        assert_eq!(references.answers, handles.answers, "{nodes} nodes");
        assert_eq!((references.bytes, handles.bytes), (72 * nodes as usize, 40 * nodes as usize));
    }
}

#[test]
fn a_graph_is_searched_and_walked() {
    let [_, handles] = example::run(1009);
    assert_eq!(handles.answers.reached, 1009, "every node has an edge to the next one");
    assert!(handles.answers.depth_of_the_last > 1);
    assert_ne!(handles.answers.keys_in_order, 0);
}
