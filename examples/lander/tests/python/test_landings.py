"""Lands many times on a compiled terrain, and keeps what came out for the report.

Wants, in the directory it runs in: build/bin/lander, toolchain/bin/terrainc, terrain.txt; in the
environment: LANDER_PILOT. Writes artifacts/landings.json.
"""

import json
import os
import subprocess
import unittest
from pathlib import Path

SEEDS = range(1, 41)


def land(seed, *more):
    command = ["build/bin/lander", "--terrain", "terrain.ter", "--pilot", os.environ["LANDER_PILOT"]]
    done = subprocess.run([*command, "--seed", str(seed), *more], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


class Landings(unittest.TestCase):
    """Every landing of one pilot on one terrain."""

    @classmethod
    def setUpClass(cls):
        subprocess.run(["toolchain/bin/terrainc", "terrain.txt", "terrain.ter"], check=True)
        cls.results = [land(seed) for seed in SEEDS]
        cls.landings = [json.loads(out) for _, out, _ in cls.results]
        Path("artifacts").mkdir(exist_ok=True)
        Path("artifacts/landings.json").write_text(json.dumps(cls.landings, indent=1), encoding="utf-8")

    def test_all_are_safe(self):
        unsafe = [f"{each['seed']}: {each['verdict']}" for each in self.landings if not each["safe"]]
        self.assertEqual(unsafe, [])

    def test_exit_status_says_the_same(self):
        for (status, _, _), landing in zip(self.results, self.landings):
            self.assertEqual(status == 0, landing["safe"])

    def test_the_load_stays_far_below_the_limit(self):
        self.assertLess(max(landing["load_g"] for landing in self.landings), 2.5)

    def test_fuel_is_left(self):
        self.assertGreater(min(landing["fuel"] for landing in self.landings), 50)

    def test_it_is_repeatable(self):
        self.assertEqual(land(SEEDS[0])[1], self.results[0][1])

    def test_telemetry_ends_on_the_ground(self):
        land(SEEDS[0], "--csv", "flight.csv")
        header, *rows = Path("flight.csv").read_text(encoding="utf-8").splitlines()
        self.assertEqual(header, "time,x,y,vx,vy,fuel,height")
        self.assertLessEqual(float(rows[-1].split(",")[-1]), 0)
        self.assertGreater(float(rows[0].split(",")[-1]), 100)

    def test_a_damaged_terrain_is_refused(self):
        data = bytearray(Path("terrain.ter").read_bytes())
        data[100] ^= 1
        Path("damaged.ter").write_bytes(data)
        command = ["build/bin/lander", "--terrain", "damaged.ter", "--pilot", "late"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertIn("damaged", done.stderr)


if __name__ == "__main__":
    unittest.main()
