package rpm

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite" // also the driver
)

const (
	sqliteMagic      = "SQLite format 3\x00"
	sqliteLimitBytes = 0 // SQLITE_LIMIT_LENGTH
	walHeader        = 32
	walFrame         = 24 // bytes in front of each page
)

// readSQLite reads rpmdb.sqlite, the database of rpm 4.16 and later, which Fedora 33 and EL 9 use.
// It does not use the library for rpm databases: if an error ends the rows early, that library
// returns the rows read so far and no error.
//
// SQLite recovers the write-ahead log itself, which requires a writable directory in which the
// files have their usual names. With an exclusive lock, it needs no shared-memory file. After it
// has read the first page, all files are open, so the copy is removed.
func readSQLite(ctx context.Context, c *private, visit visit) (err error) {
	if err := checkSQLite(c); err != nil {
		return err
	}
	dsn := url.URL{Scheme: "file", Path: c.path(), RawQuery: "_defensive=1"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := sqlite.Limit(conn, sqliteLimitBytes, maxHeader+8+entryBytes*maxTags); err != nil {
		return err
	}
	if err := prepareSQLite(ctx, conn); err != nil {
		return err
	}
	if err := c.remove(); err != nil {
		return err
	}
	if c.indexes, err = checkPages(ctx, conn); err != nil {
		return err
	}
	return readRows(ctx, conn, visit)
}

// checkSQLite finds faults that SQLite ignores. SQLite treats an empty file as a new database, and
// reads a damaged write-ahead log only up to the damage.
func checkSQLite(c *private) error {
	head := make([]byte, len(sqliteMagic))
	if err := readHead(c.path(), head); err != nil {
		return err
	}
	if string(head) != sqliteMagic {
		return errNotDatabase
	}
	if !c.wal {
		return nil
	}
	log := filepath.Join(c.dir, walName)
	st, err := os.Stat(log)
	if err != nil || st.Size() == 0 {
		return err
	}
	head = make([]byte, walHeader)
	if err := readHead(log, head); err != nil {
		return fmt.Errorf("write-ahead log: %w", err)
	}
	page := int64(binary.BigEndian.Uint32(head[8:]))
	if (st.Size()-walHeader)%(walFrame+page) != 0 {
		return errors.New("write-ahead log is truncated")
	}
	return nil
}

var (
	errNotDatabase = errors.New("is not a database of this type")
	errShort       = errors.New("is truncated")
)

func readHead(path string, head []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.ReadFull(f, head)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errShort
	}
	return err
}

// prepareSQLite protects against hostile schemas and makes the first read. The table must be an
// ordinary table, because a view or a virtual table would run code written by the database's
// author.
func prepareSQLite(ctx context.Context, conn *sql.Conn) error {
	for _, pragma := range []string{
		"locking_mode = exclusive",
		"trusted_schema = off",
		"cell_size_check = on",
		"ignore_check_constraints = on",
		"temp_store = memory",
		"query_only = on",
	} {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	var kind string
	err := conn.QueryRowContext(ctx, "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = 'Packages'").Scan(&kind)
	if errors.Is(err, sql.ErrNoRows) {
		return errors.New("has no table of packages")
	}
	if err != nil {
		return err
	}
	var plain int
	err = conn.QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_xinfo('Packages') WHERE name IN ('hnum', 'blob') AND hidden = 0").Scan(&plain)
	if err != nil {
		return err
	}
	if kind != "table" || plain != 2 {
		return errors.New("the object Packages is not a table with the stored columns hnum and blob")
	}
	// Checking all pages and reading any row would compute generated columns, which could take
	// unlimited time and memory.
	var computed int
	err = conn.QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS c WHERE c.hidden > 1").Scan(&computed)
	if err == nil && computed > 0 {
		err = errors.New("has computed columns, which rpm does not use")
	}
	return err
}

// checkPages makes SQLite check every page, because a damaged page tree can lose or repeat rows. If
// the table of packages is undamaged, damage to its indexes is returned separately, because rpm can
// still list all packages.
func checkPages(ctx context.Context, conn *sql.Conn) (indexes, err error) {
	if indexes = quickCheck(ctx, conn, "1"); indexes == nil {
		return nil, nil
	}
	return indexes, quickCheck(ctx, conn, "'Packages'")
}

// quickCheck checks all pages, or the pages of one table and its indexes.
func quickCheck(ctx context.Context, conn *sql.Conn, what string) error {
	var result string
	if err := conn.QueryRowContext(ctx, "PRAGMA quick_check("+what+")").Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return fmt.Errorf("is damaged: %s", strings.ReplaceAll(result, "\n", "; "))
	}
	return nil
}

// readRows reads all packages and compares their number with the table's own count and with an
// index.
func readRows(ctx context.Context, conn *sql.Conn, visit visit) (err error) {
	rows, err := conn.QueryContext(ctx, "SELECT hnum, blob FROM Packages ORDER BY hnum")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	read := 0
	for rows.Next() {
		var number int64
		var blob sql.RawBytes
		if err := rows.Scan(&number, &blob); err != nil {
			return err
		}
		if err := visit(number, blob); err != nil {
			return err
		}
		read++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var count int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM Packages").Scan(&count); err != nil {
		return err
	}
	if read != count {
		return fmt.Errorf("is damaged: %d of %d packages can be read", read, count)
	}
	return checkIndexes(ctx, conn)
}

// indexTables are indexes that contain all or most packages.
var indexTables = []string{"Name", "Providename", "Sigmd5", "Installtid"}

// checkIndexes looks for packages that are in an index but not in the table of packages. A damaged
// index proves nothing, so the next index is tried.
func checkIndexes(ctx context.Context, conn *sql.Conn) error {
	for _, name := range indexTables {
		var kind string
		err := conn.QueryRowContext(ctx, "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?", name).Scan(&kind)
		if errors.Is(err, sql.ErrNoRows) || err == nil && kind != "table" {
			continue
		}
		if err != nil {
			return err
		}
		if quickCheck(ctx, conn, "'"+name+"'") != nil {
			continue
		}
		var lost int
		err = conn.QueryRowContext(ctx, "SELECT count(DISTINCT hnum) FROM "+name+" WHERE hnum NOT IN (SELECT hnum FROM Packages)").Scan(&lost)
		if err == nil && lost > 0 {
			err = fmt.Errorf("is damaged: %d packages of its index %q are missing", lost, name)
		}
		return err
	}
	return nil
}
