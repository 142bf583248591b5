package schema

import (
	"embed"
	"fmt"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var migrations embed.FS

// SQLiteMigrations are the edge store's numbered migrations. The tables of kinds are not
// among them: a store makes those from the table of kinds.
func SQLiteMigrations() fs.FS { return folder("sqlite") }

// PostgresMigrations are the cloud store's numbered migrations.
func PostgresMigrations() fs.FS { return folder("postgres") }

func folder(name string) fs.FS {
	sub, err := fs.Sub(migrations, name)
	if err != nil {
		// The folders are embedded: their absence cannot be compiled.
		panic(fmt.Sprintf("schema: migrations of %s: %v", name, err))
	}
	return sub
}
