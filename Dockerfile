# racm3 on a CPU: the page and the API, with the sample system inside.
#   docker build -t racm3 . && docker run -p 7860:7860 -e RACM3_KEY=choose-one racm3
# Where CPU wheels of torch have an index of their own, name it, or CUDA comes along:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=... -t racm3 .
FROM python:3.11-slim
ARG PIP_EXTRA_INDEX_URL
RUN useradd --create-home racm3
WORKDIR /home/racm3/racm3
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir -c constraints.txt ".[serve]"
USER racm3
EXPOSE 7860
HEALTHCHECK CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/healthz')"]
# Outside the container a key is needed: it is read from the environment.
CMD ["sh", "-c", "racm3 serve --server.host 0.0.0.0 --server.key \"${RACM3_KEY:?set RACM3_KEY}\""]
