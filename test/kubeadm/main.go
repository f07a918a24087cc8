// Command kubeadm is the kubeadm of one exact release, built from its published module. Tests check
// that it accepts the files of the layout "kubeadm".
package main

import (
	"k8s.io/kubernetes/cmd/kubeadm/app"
	utilerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
)

func main() { utilerrors.HandleError(app.Run()) }
