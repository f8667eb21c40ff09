package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"orderflow/internal/assembly"
	"orderflow/internal/database"
)

// databases are those of both services.
type databases interface {
	// url is where a service finds its own.
	url(service assembly.Service) string
	// query reads both in one statement, in which {order} and {inventory} stand for
	// them, and calls row with each row.
	query(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error
}

// schemas are databases of the MariaDB server of the run.
type schemas struct {
	server *database.DB
	names  map[assembly.Service]string
}

func newSchemas(ctx context.Context, prefix string) (*schemas, error) {
	prefix = "orderflow_test_" + strings.ReplaceAll(prefix, "-", "_")
	s := &schemas{names: map[assembly.Service]string{
		assembly.OrderService: prefix + "order", assembly.InventoryService: prefix + "inventory",
	}}
	var err error
	if s.server, err = database.Open(run.mysql); err != nil {
		return nil, err
	}
	for _, name := range s.names {
		if _, err := s.server.Pool().ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
			return s, fmt.Errorf("create database: %w", err)
		}
	}
	return s, nil
}

func (s *schemas) url(service assembly.Service) string {
	address, parameters, found := strings.Cut(run.mysql, "?")
	if found {
		parameters = "?" + parameters
	}
	return address + s.names[service] + parameters
}

func (s *schemas) query(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) error {
	names := strings.NewReplacer("{order}", s.names[assembly.OrderService], "{inventory}", s.names[assembly.InventoryService])
	rows, err := s.server.Pool().QueryContext(ctx, names.Replace(query), args...)
	if err != nil {
		return err
	}
	return readRows(rows, row)
}

func readRows(rows *sql.Rows, row func(scan func(...any) error) error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (s *schemas) drop(ctx context.Context) error {
	var errs []error
	for _, name := range s.names {
		_, err := s.server.Pool().ExecContext(ctx, "DROP DATABASE IF EXISTS "+name)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.server.Close())...)
}

// files are databases in files of SQLite.
type files struct {
	of func(service assembly.Service) (url string)
}

func newFiles(folder string) files {
	return files{func(service assembly.Service) string {
		return "sqlite:" + filepath.Join(folder, string(service)+".db")
	}}
}

func (f files) url(service assembly.Service) string { return f.of(service) }

// query has a connection of its own for each query: one that stays open would
// hide what a service that was killed has left in its files.
//
// The stock is read first, so that whoever reserves is seen with the order.
func (f files) query(ctx context.Context, query string, args []any, row func(scan func(...any) error) error) (err error) {
	stock, err := database.Open(f.url(assembly.InventoryService))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stock.Close()) }()
	path := strings.TrimPrefix(f.url(assembly.OrderService), "sqlite:")
	for _, prepare := range []string{"ATTACH " + quoted(path) + " AS orders", "PRAGMA query_only(1)"} {
		if _, err := stock.Pool().ExecContext(ctx, prepare); err != nil {
			return fmt.Errorf("%s: %w", prepare, err)
		}
	}
	names := strings.NewReplacer("{order}", "orders", "{inventory}", "main")
	rows, err := stock.Pool().QueryContext(ctx, names.Replace(query), args...)
	if err != nil {
		return err
	}
	return readRows(rows, row)
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
