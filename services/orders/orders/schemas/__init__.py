"""The bodies of requests and answers, as the contract has them."""
