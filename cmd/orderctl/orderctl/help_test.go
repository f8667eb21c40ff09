package orderctl

import (
	"os"
	"strings"
	"testing"
)

// shellWords splits a command line as a shell does that knows no quotes but "".
func shellWords(line string) []string {
	var all []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

// Every command has more to say than its line in the list, and each example is one
// that the parser takes.
func TestHelpHasExamplesThatAreRight(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("bin", 0o755); err != nil { // that of "demo real"
		t.Fatal(err)
	}
	parser, err := Program().Parser()
	if err != nil {
		t.Fatal(err)
	}
	examples := examplesOf(parser.Model.Detail)
	for _, command := range parser.Model.Leaves(true) {
		if command.Detail == "" && command.Name != "version" {
			t.Errorf("orderctl %s: its help has no example; give it a Help method", command.Path())
		}
		if strings.HasPrefix(command.Detail, "orderctl ") {
			t.Errorf("%s: its help begins with an example, which loses its indentation; say something first", command.FullPath())
		}
		own := examplesOf(command.Detail)
		for _, example := range own {
			if !strings.HasPrefix(command.FullPath(), strings.Join(strings.Fields(example)[:2], " ")) {
				t.Errorf("%s has an example of another command: %s", command.FullPath(), example)
			}
		}
		examples = append(examples, own...)
	}
	if len(examples) < 20 {
		t.Fatalf("only %d examples were found", len(examples))
	}
	for _, example := range examples {
		if err := Program().Check(shellWords(example)[1:]...); err != nil {
			t.Errorf("%s: %v", example, err)
		}
	}
}

func examplesOf(help string) []string {
	var all []string
	for line := range strings.Lines(help) {
		if example, ok := strings.CutPrefix(line, "  orderctl "); ok {
			all = append(all, "orderctl "+strings.TrimSuffix(strings.TrimSpace(example), " &"))
		}
	}
	return all
}
