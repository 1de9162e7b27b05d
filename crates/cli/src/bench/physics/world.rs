//! The world: discs in a box, some of them tied together by springs.
//!
//! It has any number of dimensions, at least two: positions, velocities and forces are vectors of this length.

/// The laws of the world. Lengths are in radii of a body, masses are 1, and times are in seconds.
#[derive(Debug, Clone)]
pub struct Laws {
    /// Gravity, downwards along the second dimension.
    pub gravity: f64,
    /// The fraction of the velocity that is lost per second.
    pub drag: f64,
    pub stiffness: f64,
    /// The fraction of the velocity that is kept on bouncing.
    pub restitution: f64,
    pub time_step: f64,
    /// The size of the box in every dimension, starting at 0.
    pub size: f64,
}

/// A body, with its vectors in some space.
#[derive(Debug, Clone, PartialEq)]
pub struct PhysicsBody<V> {
    pub at: V,
    pub velocity: V,
}

/// A spring between two bodies.
#[derive(Debug, Clone, Copy)]
pub struct Spring {
    pub a: usize,
    pub b: usize,
    /// The length at rest.
    pub length: f64,
}

/// The laws and the initial state.
#[derive(Debug, Clone)]
pub struct PhysicsProblem {
    pub laws: Laws,
    pub bodies: Vec<PhysicsBody<Vec<f64>>>,
    pub springs: Vec<Spring>,
}

/// Two bodies touch when their centres are nearer than this.
pub const DIAMETER: f64 = 2.0;
pub const RADIUS: f64 = 1.0;

/// The initial positions in the first two dimensions: two triangles tied by springs, and four free bodies.
const STARTS: [[f64; 2]; 10] = [
    [4.0, 14.0],
    [7.0, 14.0],
    [5.5, 16.6],
    [13.0, 12.0],
    [16.0, 12.0],
    [14.5, 14.6],
    [5.0, 9.0],
    [10.0, 16.0],
    [9.0, 5.0],
    [15.0, 7.0],
];
const TIES: [[usize; 2]; 6] = [[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3]];

impl PhysicsProblem {
    /// Ten bodies in this many dimensions, at least two.
    pub fn of_dimensions(dimensions: usize) -> Self {
        assert!(dimensions >= 2, "bodies fall along the second dimension, so there are at least two");
        let laws = Laws {
            gravity: 9.81,
            drag: 0.05,
            stiffness: 400.0,
            restitution: 0.8,
            time_step: 1.0 / 480.0,
            size: 20.0,
        };
        let mut random = LinearCongruential(42);
        // The spread in all dimensions after the second together is that of one dimension.
        let narrow = 1.0 / (dimensions as f64).sqrt();
        let bodies = STARTS.iter().map(|start| PhysicsBody {
            at: (0..dimensions)
                .map(|i| start.get(i).map_or_else(|| laws.size / 2.0 + narrow * random.next(), |at| *at))
                .collect(),
            velocity: (0..dimensions)
                .map(|i| if i < 2 { 6.0 * random.next() } else { 2.0 * narrow * random.next() })
                .collect(),
        });
        let bodies = bodies.collect();
        let springs = TIES.iter().map(|&[a, b]| Spring { a, b, length: 3.0 }).collect();
        Self { laws, bodies, springs }
    }

    /// The length of a vector.
    pub fn dimensions(&self) -> usize {
        self.bodies[0].at.len()
    }
}

/// A linear congruential generator of numbers from -1 to 1, the same on every machine.
struct LinearCongruential(u64);

impl LinearCongruential {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 32) as u32) / f64::from(1_u32 << 31) - 1.0
    }
}
