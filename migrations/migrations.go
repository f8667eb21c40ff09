// Package migrations holds the schemas of both services and of the notifier, for
// goose: a folder per program and dialect, with equal version numbers in both
// dialects. Migrations are additive, so that the old program runs on the new schema.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed order inventory notify
var files embed.FS

// Order returns the migrations of order-srv: one folder per dialect.
func Order() fs.FS { return mustSub("order") }

// Inventory returns the migrations of inventory-srv: one folder per dialect.
func Inventory() fs.FS { return mustSub("inventory") }

// Notify returns the migrations of the notifier: one folder per dialect.
func Notify() fs.FS { return mustSub("notify") }

func mustSub(folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}
