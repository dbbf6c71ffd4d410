package main

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand in for the program in scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tallystick": main})
}

// quiet keeps the SDK of a test from looking for credentials or an instance.
func quiet(setenv func(key, value string)) {
	setenv("AWS_EC2_METADATA_DISABLED", "true")
	setenv("AWS_CONFIG_FILE", os.DevNull)
	setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
}
