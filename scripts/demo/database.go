package main

import (
	"database/sql"
	"errors"
	"fmt"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// rebuildTime is the build time of the updated package, in unix seconds. It is later than the build
// times of all other packages in the database.
const rebuildTime = 1640000000

// readFiles lists the installed files of every package in the database.
func readFiles(database string) ([]file, error) {
	var files []file
	err := eachPackage(database, "?immutable=1", func(_ *sql.DB, _ int64, blob []byte) error {
		found, err := packageFiles(blob)
		files = append(files, found...)
		return err
	})
	return files, err
}

// rebuild sets a new build time for one package in the database.
func rebuild(database, name string) error {
	found := false
	err := eachPackage(database, "", func(db *sql.DB, id int64, blob []byte) error {
		h, err := parseHeader(blob)
		if err != nil || h.name() != name {
			return err
		}
		found = true
		if err := h.setBuildTime(rebuildTime); err != nil {
			return err
		}
		_, err = db.Exec("UPDATE Packages SET blob = ? WHERE hnum = ?", blob, id)
		return err
	})
	if err == nil && !found {
		err = fmt.Errorf("there is no package %q", name)
	}
	return err
}

// eachPackage calls a function with the key and the header of every package.
func eachPackage(database, options string, do func(db *sql.DB, id int64, blob []byte) error) (err error) {
	db, err := sql.Open("sqlite", "file:"+database+options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ids, blobs, err := packages(db)
	if err != nil {
		return err
	}
	for i, blob := range blobs {
		if err := do(db, ids[i], blob); err != nil {
			return err
		}
	}
	return nil
}

// packages reads all keys and headers. Nothing can be written to the database
// while rows are being read.
func packages(db *sql.DB) (ids []int64, blobs [][]byte, err error) {
	rows, err := db.Query("SELECT hnum, blob FROM Packages ORDER BY hnum")
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var blob []byte
		if err := rows.Scan(&id, &blob); err != nil {
			return nil, nil, err
		}
		ids, blobs = append(ids, id), append(blobs, blob)
	}
	return ids, blobs, rows.Err()
}
