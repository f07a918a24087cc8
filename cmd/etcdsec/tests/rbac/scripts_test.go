package rbac_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

func TestScripts(t *testing.T) { clitest.RunScripts(t) }
