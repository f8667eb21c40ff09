package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
	// backup copies the whole database of a service, which does not run, and returns
	// what puts the copy in its place.
	backup(ctx context.Context, service assembly.Service) (restore func(ctx context.Context) error, err error)
}

// schemas are databases of the MariaDB server of the run.
type schemas struct {
	server  *database.DB
	names   map[assembly.Service]string
	backups []string // more databases
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

func (s *schemas) backup(ctx context.Context, service assembly.Service) (restore func(ctx context.Context) error, err error) {
	name := s.names[service]
	backup := fmt.Sprintf("%s_backup%d", name, len(s.backups))
	s.backups = append(s.backups, backup)
	if err := s.execute(ctx, "CREATE DATABASE "+backup); err != nil {
		return nil, err
	}
	rows, err := s.server.Pool().QueryContext(ctx, "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", name)
	if err != nil {
		return nil, err
	}
	var tables []string
	err = readRows(rows, func(scan func(...any) error) error {
		tables = append(tables, "")
		return scan(&tables[len(tables)-1])
	})
	if err != nil {
		return nil, err
	}
	var put []string
	for _, table := range tables {
		whole := fmt.Sprintf("CREATE TABLE %s.%s AS SELECT * FROM %s.%s", backup, table, name, table)
		if err := s.execute(ctx, whole); err != nil {
			return nil, err
		}
		put = append(put, fmt.Sprintf("DELETE FROM %s.%s", name, table),
			fmt.Sprintf("INSERT INTO %s.%s SELECT * FROM %s.%s", name, table, backup, table))
	}
	return func(ctx context.Context) error { return s.execute(ctx, put...) }, nil
}

func (s *schemas) execute(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := s.server.Pool().ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (s *schemas) drop(ctx context.Context) error {
	var errs []error
	for _, name := range append(slices.Collect(maps.Values(s.names)), s.backups...) {
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

// backup copies the files, what SQLite has beside them included.
func (f files) backup(_ context.Context, service assembly.Service) (restore func(ctx context.Context) error, err error) {
	path := strings.TrimPrefix(f.url(service), "sqlite:")
	saved := map[string][]byte{}
	for _, part := range []string{path, path + "-wal", path + "-shm"} {
		content, err := os.ReadFile(part)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		saved[part] = content
	}
	return func(context.Context) error {
		for _, part := range []string{path, path + "-wal", path + "-shm"} {
			if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			content, there := saved[part]
			if !there {
				continue
			}
			if err := os.WriteFile(part, content, 0o600); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
