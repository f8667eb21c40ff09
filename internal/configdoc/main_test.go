package main

import (
	"os"
	"strings"
	"testing"
)

const readme = "../../README.md"

func TestReadmeIsUpToDate(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	want, err := fill(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if want != string(text) {
		t.Error(`the settings in README.md are not those of the programs: run "make generate"`)
	}
}

func TestTableHasEverySetting(t *testing.T) {
	for _, p := range documented() {
		table, err := tableOf(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{
			"`--database-url` | `" + p.EnvPrefix + "_DATABASE_URL` | required |",
			"`--topic-prefix` | `" + p.EnvPrefix + "_TOPIC_PREFIX` | none |",
			"`--crash-point`", "| `20s` |",
		} {
			if !strings.Contains(table, text) {
				t.Errorf("%s: %q is not in\n%s", p.Name, text, table)
			}
		}
		if strings.Contains(table, "--help") {
			t.Errorf("%s: help is no setting:\n%s", p.Name, table)
		}
	}
}

func TestMissingMarkersAreAnError(t *testing.T) {
	if _, err := fill("# A README without markers\n"); err == nil {
		t.Error("no error")
	}
}
