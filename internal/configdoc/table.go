package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"orderflow/cmd/inventory-srv/inventorysrv"
	"orderflow/cmd/order-srv/ordersrv"
	"orderflow/internal/cli"
)

// documented are the programs with a table: the settings of their command serve.
func documented() []cli.Program {
	return []cli.Program{ordersrv.Program(), inventorysrv.Program()}
}

// fill replaces what stands between the markers of each program.
func fill(text string) (string, error) {
	for _, p := range documented() {
		table, err := tableOf(p)
		if err != nil {
			return "", err
		}
		before, rest, begins := strings.Cut(text, "<!-- config:"+p.Name+" -->\n")
		_, after, ends := strings.Cut(rest, "<!-- /config:"+p.Name+" -->")
		if !begins || !ends {
			return "", fmt.Errorf("the markers of %s are missing", p.Name)
		}
		text = before + "<!-- config:" + p.Name + " -->\n" + table + "<!-- /config:" + p.Name + " -->" + after
	}
	return text, nil
}

// tableOf is the table of a program's settings. Hidden flags are in it: hidden
// means that they do not belong into the help of everyday use.
func tableOf(p cli.Program) (string, error) {
	parser, err := p.Parser()
	if err != nil {
		return "", fmt.Errorf("%s: %w", p.Name, err)
	}
	var b strings.Builder
	b.WriteString("| flag | environment | default | meaning |\n|---|---|---|---|\n")
	for _, command := range parser.Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, flag := range command.Flags {
			fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n",
				flag.Name, strings.Join(flag.Envs, "`, `"), defaultOf(flag), cell(flag.Help))
		}
	}
	return b.String(), nil
}

func defaultOf(flag *kong.Flag) string {
	switch {
	case flag.Required:
		return "required"
	case flag.Default == "":
		return "none"
	default:
		return "`" + flag.Default + "`"
	}
}

// cell keeps a text within its cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
