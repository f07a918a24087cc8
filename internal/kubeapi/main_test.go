package kubeapi_test

import (
	"os"
	"testing"

	"github.com/etcdsec/etcdsec/internal/kubeapi"
	"github.com/etcdsec/etcdsec/internal/leash"
)

// TestMain makes this binary the supervisor of the programs that the tests log in with.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == leash.Argument {
		if leash.Supervise(os.Args[2:]) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	kubeapi.DiscardLogs()
	os.Exit(m.Run())
}

func supervisor() []string { return []string{"/proc/self/exe", leash.Argument} }
