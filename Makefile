# Needs Python 3.11 or newer, git and make. Choose the interpreter with: make lab PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
# A process for each core, as each computes with one thread; the cells of a page stay together, and the pages, which take longest,
# come first, so that no core waits for the last of them.
SIDE_BY_SIDE := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: lab test coverage claims solution quick measure bench bench-elpv bench-own-pictures bench-peers notebooks book student clean

lab: .venv/ready
	$(BIN)/jupyter lab --ServerApp.root_dir=. notebooks/00_start_here.ipynb

test: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -m browser tests/notebooks
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --nbval --doctest-modules -m "not claims and not browser" notebooks labutils tests

# Which lines of labutils the unit tests reach
coverage: .venv/ready
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) --doctest-modules --cov --cov-report=term -m "not claims and not browser" labutils tests

# What the lab says of transfer learning, on real pictures over three seeds: longer than all other tests together
claims: .venv/ready
	$(BIN)/python -m pytest -m claims -s tests/notebooks/test_claims.py

solution: .venv/ready
	$(BIN)/python solution.py

quick: .venv/ready
	$(BIN)/python solution.py --quick

# All tables that the pages show, ten seeds each, from one clean commit: hours on two cores; interrupted, it goes on where it was
measure: .venv/ready
	$(BIN)/python benchmarks/measure.py

bench: .venv/ready
	$(BIN)/python benchmarks/cached_training.py
	$(BIN)/python benchmarks/against_tutorial.py
	$(BIN)/python benchmarks/memory.py

# A published benchmark, 5 splits: hours on two cores; interrupted, it goes on where it was
bench-elpv: .venv/ready
	$(BIN)/python -m benchmarks.elpv

# Side by side with fastai, Lightning, Keras, the tutorial's loop and torch-lr-finder; interrupted, it goes on where it was
bench-peers: .venv-peers/ready
	.venv-peers/bin/python -m benchmarks.peers
	.venv-peers/bin/python -m benchmarks.peers.suggestions
	.venv-peers/bin/python -m benchmarks.peers.report

# From a folder of pictures to a saved classifier, beside fastai; interrupted, it goes on where it was
bench-own-pictures: .venv-peers/ready
	.venv-peers/bin/python -m benchmarks.own_pictures

# Run all pages again and keep their outputs
notebooks: .venv/ready
	$(BIN)/python -m publishing.execute

# All pages as a site to read without a kernel: build/book/docs/index.html
book: .venv/ready
	$(BIN)/python -m sphinx -E -q -W --keep-going -c publishing/book . build/book

# Blank copies of the pages for a class: build/student
student: .venv/ready
	$(BIN)/python -m publishing.student_copies

clean:
	rm -rf .venv .venv-peers

.venv/ready: requirements.txt pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed: make lab PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --progress-bar on -r requirements.txt
	touch $@

# The peers lie in an environment of their own that also sees the lab's: one torch for all, and 5 GB less
.venv-peers/ready: .venv/ready benchmarks/peers/requirements.txt
	$(BIN)/python -m venv --clear .venv-peers
	.venv-peers/bin/python -c "import site, sys; open(site.getsitepackages()[0] + '/lab.pth', 'w').write(sys.argv[1])" \
		"$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')"
	.venv-peers/bin/python -m pip install --progress-bar on -r benchmarks/peers/requirements.txt
	touch $@
