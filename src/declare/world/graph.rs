//! Cycles in small directed graphs: blueprints' steps and tasks' dependencies.
//!
//! Knots are strongly connected components with a cycle, found by Tarjan's algorithm ("Depth-first search and linear
//! graph algorithms", SIAM J. Comput. 1972), written with a stack of its own so that a long chain cannot overflow ours.

use std::collections::VecDeque;

/// From how many nodes of a knot a cycle is searched; bounds the work on very large ones, where the shortest cycle
/// through the first of them is shown.
const SEARCHES_MAX: usize = 64;

/// Nodes that all lead to each other, and a shortest cycle among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knot {
    /// All nodes that are part of some cycle of the knot, ascending.
    pub members: Vec<usize>,
    /// A shortest cycle, each node leading to the next and the last to the first.
    pub cycle: Vec<usize>,
}

/// The knots of the graph in which node `n` leads to `edges[n]`, each with its shortest cycle through a node that
/// `may_start` accepts. Knots without such a node are left out.
#[must_use]
pub fn knots(edges: &[Vec<usize>], may_start: impl Fn(usize) -> bool) -> Vec<Knot> {
    let mut knots: Vec<Knot> = components(edges)
        .into_iter()
        .filter(|members| members.len() > 1 || edges[members[0]].contains(&members[0]))
        .filter_map(|members| {
            let starts = members.iter().filter(|node| may_start(**node)).take(SEARCHES_MAX);
            let cycle = starts.map(|start| shortest_cycle(edges, &members, *start)).min_by_key(Vec::len)?;
            Some(Knot { members, cycle })
        })
        .collect();
    knots.sort_by_key(|knot| knot.members[0]);
    knots
}

/// Strongly connected components, each ascending.
fn components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let mut order = vec![UNSEEN; edges.len()];
    let mut low = vec![0; edges.len()];
    let mut on_stack = vec![false; edges.len()];
    let mut stack = Vec::new();
    let mut found = Vec::new();
    let mut next = 0;
    for root in 0..edges.len() {
        if order[root] != UNSEEN {
            continue;
        }
        // A node and how many of its edges were followed.
        let mut path = vec![(root, 0)];
        while let Some((node, followed)) = path.pop() {
            if followed == 0 {
                order[node] = next;
                low[node] = next;
                next += 1;
                stack.push(node);
                on_stack[node] = true;
            } else {
                let child = edges[node][followed - 1];
                if on_stack[child] {
                    low[node] = low[node].min(low[child]);
                }
            }
            if let Some(&child) = edges[node].get(followed) {
                path.push((node, followed + 1));
                if order[child] == UNSEEN {
                    path.push((child, 0));
                }
            } else if low[node] == order[node] {
                let start = stack.iter().rposition(|other| *other == node).expect("a node is on the stack until here");
                let mut members = stack.split_off(start);
                members.iter().for_each(|member| on_stack[*member] = false);
                members.sort_unstable();
                found.push(members);
            }
        }
    }
    found
}

/// A shortest cycle through `start`, which is a member of a knot; breadth first.
fn shortest_cycle(edges: &[Vec<usize>], members: &[usize], start: usize) -> Vec<usize> {
    let mut came_from: Vec<Option<usize>> = vec![None; members.len()];
    let local = |node: usize| members.binary_search(&node).ok();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &child in &edges[node] {
            if child == start {
                let mut cycle = vec![node];
                let mut at = node;
                while let Some(before) = local(at).and_then(|at| came_from[at]) {
                    cycle.push(before);
                    at = before;
                }
                cycle.reverse();
                return cycle;
            }
            if let Some(at) = local(child).filter(|at| came_from[*at].is_none()) {
                came_from[at] = Some(node);
                queue.push_back(child);
            }
        }
    }
    vec![start]
}

/// A cycle as people write it, `a -> b -> a`, with the middle of a very long one only counted.
#[must_use]
pub fn written<'n>(cycle: &[usize], name: impl Fn(usize) -> &'n str) -> String {
    /// Nodes that are named.
    const NAMED_MAX: usize = 12;
    let mut words: Vec<_> = cycle.iter().take(NAMED_MAX).map(|node| name(*node).to_owned()).collect();
    if cycle.len() > NAMED_MAX {
        words.push(format!("({} more)", cycle.len() - NAMED_MAX));
    }
    words.extend(cycle.first().map(|node| name(*node).to_owned()));
    words.join(" -> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_shortest_cycle_of_each_knot_is_found() {
        // 0 -> 1 -> 2 -> 0 with the short cut 1 -> 0; 3 leads to itself; 4 leads into the first knot.
        let edges = vec![vec![1], vec![2, 0], vec![0], vec![3], vec![0]];
        let found = knots(&edges, |_| true);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], Knot { members: vec![0, 1, 2], cycle: vec![0, 1] });
        assert_eq!(found[1], Knot { members: vec![3], cycle: vec![3] });
        assert_eq!(written(&found[0].cycle, |node| ["a", "b", "c", "d", "e"][node]), "a -> b -> a");
    }

    #[test]
    fn a_knot_is_told_from_a_node_that_may_start() {
        let edges = vec![vec![1], vec![0]];
        assert_eq!(knots(&edges, |node| node == 1)[0].cycle, [1, 0]);
        assert!(knots(&edges, |_| false).is_empty());
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_is_no_knot_and_no_stack_overflow() {
        let edges: Vec<_> = (0..100_000).map(|node| if node + 1 < 100_000 { vec![node + 1] } else { vec![] }).collect();
        assert!(knots(&edges, |_| true).is_empty());
    }

    proptest! {
        #[test]
        fn every_node_that_leads_back_to_itself_is_in_a_knot_and_no_other(
            edges in prop::collection::vec(prop::collection::vec(0..8usize, 0..4), 8)
        ) {
            let mut reach = vec![vec![false; 8]; 8];
            for (from, to) in edges.iter().enumerate() {
                to.iter().for_each(|to| reach[from][*to] = true);
            }
            for via in 0..8 {
                for from in 0..8 {
                    for to in 0..8 {
                        reach[from][to] |= reach[from][via] && reach[via][to];
                    }
                }
            }
            let found = knots(&edges, |_| true);
            for (node, reached) in reach.iter().enumerate() {
                prop_assert_eq!(reached[node], found.iter().any(|knot| knot.members.contains(&node)));
            }
            for knot in &found {
                for (at, node) in knot.cycle.iter().enumerate() {
                    prop_assert!(edges[*node].contains(&knot.cycle[(at + 1) % knot.cycle.len()]));
                }
            }
        }
    }
}
