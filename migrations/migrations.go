// Package migrations holds the schemas of both services, for goose: a folder per
// service and dialect, with equal version numbers in both dialects. Migrations
// are additive, so that the old program runs on the new schema.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed order inventory
var files embed.FS

// Order returns the migrations of order-srv: one folder per dialect.
func Order() fs.FS { return mustSub("order") }

// Inventory returns the migrations of inventory-srv: one folder per dialect.
func Inventory() fs.FS { return mustSub("inventory") }

func mustSub(folder string) fs.FS {
	sub, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return sub
}
