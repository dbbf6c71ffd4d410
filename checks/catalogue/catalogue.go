// Package catalogue holds the controls and checks that tallystick ships: one
// YAML file for each control, and where that grows long others that extend it,
// with the examples that are its tests.
//
// It promises that every check states its criteria, its traps, its remedy and
// the provider's own page, and that its examples show it passing, failing and
// unknown. It does not judge; package checks does.
package catalogue

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var files embed.FS

// FS gives the files of the catalogue, for checks.Load.
func FS() fs.FS { return files }
