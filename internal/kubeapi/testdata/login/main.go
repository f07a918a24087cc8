// Command login stands for a cloud's login command: it prints the ExecCredential that its
// first argument asks for, and adds a line to the file of its second one.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

func main() {
	file, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		fail(err)
	}
	if _, err := fmt.Fprintln(file, os.Getenv("KUBERNETES_EXEC_INFO")); err != nil {
		fail(err)
	}
	status := map[string]string{}
	switch os.Args[1] {
	case "token":
		status["token"] = os.Getenv("LOGIN_TOKEN")
	case "certificate":
		status["clientCertificateData"], status["clientKeyData"] = read(os.Args[3]), read(os.Args[4])
	case "garbage":
		fmt.Println(os.Getenv("LOGIN_TOKEN"))
		return
	case "nothing":
	case "hang":
		time.Sleep(time.Hour)
	default:
		fail("your session has ended")
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}); err != nil {
		fail(err)
	}
}

func read(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		fail(err)
	}
	return string(data)
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(3)
}
