"""Tests of the Python tools: the terrain maker, the lint and the package manifest."""

import importlib.util
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def load(path):
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), ROOT / f"{path}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Terrain(unittest.TestCase):
    """ci/fetch_terrain.py"""

    def setUp(self):
        self.made = load("ci/fetch_terrain")

    def test_same_name_same_text(self):
        for name in self.made.TERRAINS:
            self.assertEqual(self.made.text_of(name), self.made.text_of(name))

    def test_as_many_heights_as_promised(self):
        for name in self.made.TERRAINS:
            head, *heights = self.made.text_of(name).splitlines()
            self.assertEqual(int(head.split()[-1]), len(heights))

    def test_flats_are_flat_and_highlands_high(self):
        spans = {}
        for name in self.made.TERRAINS:
            heights = [int(line) for line in self.made.text_of(name).splitlines()[1:]]
            spans[name] = max(heights) - min(heights)
        self.assertLess(spans["terrain-flats"], 40)
        self.assertGreater(spans["terrain-highlands"], spans["terrain-craters"])


class Lint(unittest.TestCase):
    """tools/lint.py"""

    def setUp(self):
        self.lint = load("tools/lint")
        self.root = tempfile.TemporaryDirectory()
        self.addCleanup(self.root.cleanup)

    def findings(self, name, text, check):
        path = Path(self.root.name) / name
        path.write_text(text, encoding="utf-8")
        return [what for _, what in check(path)]

    def test_banned_calls_are_found(self):
        self.assertEqual(
            self.findings("a.c", "void f(void)\n{\n    sprintf(a, b);\n}\n", self.lint.check_c),
            ["sprintf has no bound: use snprintf"],
        )

    def test_comments_and_strings_are_not_code(self):
        text = '/* strcpy( */\nconst char *s = "gets(";\n'
        self.assertEqual(self.findings("b.c", text, self.lint.check_c), [])

    def test_headers_need_their_guard(self):
        self.assertEqual(self.findings("c.h", "int x;\n", self.lint.check_c), ["no include guard LANDER_C_H"])

    def test_unused_imports_are_found(self):
        text = '"""Doc."""\n\nimport os\n'
        self.assertEqual(self.findings("d.py", text, self.lint.check_python), ["os is imported and not used"])

    def test_layout(self):
        found = self.findings("e.c", "int x; \n\tint y;", self.lint.check_layout)
        self.assertEqual(found, ["no newline at the end", "white space at the end of the line", "a tab"])


class Manifest(unittest.TestCase):
    """ci/manifest.py"""

    def test_a_changed_file_is_noticed(self):
        manifest = load("ci/manifest")
        with tempfile.TemporaryDirectory() as root:
            (Path(root) / "program").write_text("one", encoding="utf-8")
            self.assertEqual(manifest.main(["write", root]), 0)
            self.assertEqual(manifest.main(["check", root]), 0)
            (Path(root) / "program").write_text("two", encoding="utf-8")
            self.assertEqual(manifest.main(["check", root]), 1)


if __name__ == "__main__":
    unittest.main()
