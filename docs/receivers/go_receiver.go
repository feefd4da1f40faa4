// Receives Prism's webhooks with Go alone: go run go_receiver.go
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"os"
)

var secret = []byte(os.Getenv("PRISM_WEBHOOK_SECRET"))

func receive(w http.ResponseWriter, r *http.Request) {
	// The bytes as they came: JSON that was parsed and written again has another signature.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body did not come whole", http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	expected := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	// In constant time: how long it takes must not tell how much of a guess is right.
	if !hmac.Equal([]byte(expected), []byte(r.Header.Get("X-Prism-Signature"))) {
		http.Error(w, "wrong signature", http.StatusUnauthorized)
		return
	}
	// Answer within ten seconds, and do what takes longer afterwards. A request can come twice:
	// X-Prism-Delivery is the same then.
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"received": true}`)
}

func main() {
	if len(secret) == 0 {
		log.Fatal("PRISM_WEBHOOK_SECRET is not set")
	}
	port := os.Getenv("PORT")
	if port == "" {
		port = "9000"
	}
	http.HandleFunc("/webhook", receive)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
