# The stack (MariaDB, RocketMQ name server and broker) on this machine, without
# Docker. Include this file from the Makefile in the repository root.
#
# Ports come from the environment or from make's command line:
#   make stack-up STACK_NAMESRV_PORT=9876 STACK_BROKER_PORT=10911 STACK_MYSQL_PORT=13306
# Everything it writes is in .stack/ (STACK_DIR): a second stack needs another
# directory and other ports. Other targets and shells learn the addresses from:
#   eval "$(make -s stack-env)"

STACK_SH := $(dir $(lastword $(MAKEFILE_LIST)))stack.sh

.PHONY: stack-up stack-down stack-reset stack-status stack-env

stack-up: ## start MariaDB and RocketMQ on this machine, installing what is missing
	@bash $(STACK_SH) up

stack-down: ## stop them; the data stays
	@bash $(STACK_SH) down

stack-reset: ## stop them and delete their data; the downloaded jars stay
	@bash $(STACK_SH) reset

stack-status: ## show what runs, with pids and ports
	@bash $(STACK_SH) status

stack-env: ## print the export lines that point tests and services at the stack
	@bash $(STACK_SH) env
